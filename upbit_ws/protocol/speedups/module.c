/* The inner loops of the SDK: frames out of a read, and payloads into their slots.
 *
 * Everything here also exists in Python, in frames.py, slots.py, lanes.py and hearing.py, which say what it does and why; the tests
 * hold both to the same results. These files have the common cases only. Whatever is not common (another opcode, a payload
 * that is not as predicted, an id that does not grow, a new epoch) is handed back to the Python code.
 *
 * All of it runs with the interpreter's lock held and touches no file, socket, clock or lock, except `Inlet`, which reads
 * for wire/incoming.py, and `Intake`, which files under the pool's lock what an inlet reads.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#ifndef MS_WINDOWS
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <sys/socket.h>
#endif

/* Raised with every change of what Python expects of this module; `_extension.py` has the same number. */
#define SPEEDUPS_VERSION 5

/* Compiled as one, so that the inner loops can be put into each other. Each file needs those above it. */
#include "words.h"
#include "frames.h"
#include "memory.h"
#include "journal.h"
#include "copies.h"
#include "rings.h"
#include "ids.h"
#include "slots.h"
#include "inlet.h"
#include "lanes.h"
#include "starts.h"
#include "batches.h"
#include "intake.h"

static PyMethodDef methods[] = {
    {"split", (PyCFunction)(void (*)(void))speedups_split, METH_FASTCALL, split_doc},
    {"file", (PyCFunction)(void (*)(void))speedups_file, METH_FASTCALL, file_doc},
#ifdef HAS_COPY_IN_LINES
    {"_copy_in_lines", speedups_copy_in_lines, METH_O, PyDoc_STR("For tests: _copy_in_lines(bool) -> whether it does.")},
#endif
    {NULL}
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_upbit_ws_speedups", PyDoc_STR("The inner loops of upbit_ws; see its protocol folder."),
    -1, methods,
};

PyMODINIT_FUNC
PyInit__upbit_ws_speedups(void)
{
#ifdef HAS_COPY_IN_LINES
    copies_in_lines = can_copy_in_lines = __builtin_cpu_supports("avx512bw") != 0;
#endif
    str_take = PyUnicode_InternFromString("take");
    str_take_identified = PyUnicode_InternFromString("take_identified");
    str_file = PyUnicode_InternFromString("file");
    if (!str_take || !str_take_identified || !str_file) return NULL;
    if (PyType_Ready(&RingType) < 0 || PyType_Ready(&IdWindowType) < 0 || PyType_Ready(&SlotCoreType) < 0
        || PyType_Ready(&LaneType) < 0 || PyType_Ready(&StartTableType) < 0 || PyType_Ready(&IntakeType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
#ifndef MS_WINDOWS
    if (PyType_Ready(&InletType) < 0 || PyModule_AddObjectRef(module, "Inlet", (PyObject *)&InletType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
#endif
    if (PyModule_AddIntConstant(module, "VERSION", SPEEDUPS_VERSION) < 0
        || PyModule_AddObjectRef(module, "Ring", (PyObject *)&RingType) < 0
        || PyModule_AddObjectRef(module, "IdWindow", (PyObject *)&IdWindowType) < 0
        || PyModule_AddObjectRef(module, "SlotCore", (PyObject *)&SlotCoreType) < 0
        || PyModule_AddObjectRef(module, "Lane", (PyObject *)&LaneType) < 0
        || PyModule_AddObjectRef(module, "StartTable", (PyObject *)&StartTableType) < 0
        || PyModule_AddObjectRef(module, "Intake", (PyObject *)&IntakeType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
