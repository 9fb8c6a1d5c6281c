/* The inner loops of the SDK: frames out of a read, and payloads into their slots.
 *
 * Everything here also exists in Python, in frames.py, slots.py and lanes.py, which say what it does and why; the tests
 * hold both to the same results. This file has the common cases only. Whatever is not common (another opcode, a payload
 * that is not as predicted, an id that does not grow, a new epoch) is handed back to the Python code.
 *
 * All of it runs with the interpreter's lock held and touches no file, socket or clock.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <string.h>

/* Raised with every change of what Python expects of this module; `_extension.py` has the same number. */
#define SPEEDUPS_VERSION 1

#define START_LENGTH 43
#define HEAD_SCAN_FROM 29
#define TIMESTAMP_DIGITS 13

static PyObject *str_append, *str_take, *str_take_identified, *str_rotate_ids, *str_file;

/* -- frames ------------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(split_doc,
"split(data, position, messages) -> position\n\n"
"Append the payloads of the whole unfragmented binary frames of 126 to 65,535 bytes that stand from `position` on;\n"
"stop in front of anything else.");

static PyObject *
speedups_split(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyBytes_Check(args[0]) || !PyList_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "split(bytes, int, list)");
        return NULL;
    }
    Py_ssize_t position = PyLong_AsSsize_t(args[1]);
    if (position < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "position must not be negative");
        return NULL;
    }
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    PyObject *messages = args[2];
    while (size - position >= 4) {
        const unsigned char *head = data + position;
        if (head[0] != 0x82 || head[1] != 0x7E) break;
        Py_ssize_t length = ((Py_ssize_t)head[2] << 8) | head[3];
        if (length < 126 || length > size - position - 4) break;
        PyObject *payload = PyBytes_FromStringAndSize((const char *)head + 4, length);
        if (payload == NULL) return NULL;
        int failed = PyList_Append(messages, payload);
        Py_DECREF(payload);
        if (failed) return NULL;
        position += 4 + length;
    }
    return PyLong_FromSsize_t(position);
}

/* -- slots -------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *timestamp;   /* bytes */
    PyObject *current;     /* (payload, stamp) or None */
    PyObject *history;     /* deque */
    PyObject *largest_id;  /* bytes */
    PyObject *recent_ids;  /* set, or None where payloads have no ids */
    Py_ssize_t revision;
    Py_ssize_t epoch;
    Py_ssize_t id_window;
    char is_attended;
} SlotCore;

static int
core_traverse(SlotCore *self, visitproc visit, void *arg)
{
    Py_VISIT(self->timestamp);
    Py_VISIT(self->current);
    Py_VISIT(self->history);
    Py_VISIT(self->largest_id);
    Py_VISIT(self->recent_ids);
    return 0;
}

static int
core_clear(SlotCore *self)
{
    Py_CLEAR(self->timestamp);
    Py_CLEAR(self->current);
    Py_CLEAR(self->history);
    Py_CLEAR(self->largest_id);
    Py_CLEAR(self->recent_ids);
    return 0;
}

static void
core_dealloc(SlotCore *self)
{
    PyObject_GC_UnTrack(self);
    core_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef core_members[] = {
    {"timestamp", T_OBJECT_EX, offsetof(SlotCore, timestamp), 0, NULL},
    {"current", T_OBJECT_EX, offsetof(SlotCore, current), 0, NULL},
    {"history", T_OBJECT_EX, offsetof(SlotCore, history), 0, NULL},
    {"largest_id", T_OBJECT_EX, offsetof(SlotCore, largest_id), 0, NULL},
    {"recent_ids", T_OBJECT_EX, offsetof(SlotCore, recent_ids), 0, NULL},
    {"revision", T_PYSSIZET, offsetof(SlotCore, revision), 0, NULL},
    {"epoch", T_PYSSIZET, offsetof(SlotCore, epoch), 0, NULL},
    {"id_window", T_PYSSIZET, offsetof(SlotCore, id_window), 0, NULL},
    {"is_attended", T_BOOL, offsetof(SlotCore, is_attended), 0, NULL},
    {NULL}
};

static PyTypeObject SlotCoreType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.SlotCore",
    .tp_doc = PyDoc_STR("What is written for every message of one key."),
    .tp_basicsize = sizeof(SlotCore),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)core_dealloc,
    .tp_traverse = (traverseproc)core_traverse,
    .tp_clear = (inquiry)core_clear,
    .tp_members = core_members,
};

/* -- lanes -------------------------------------------------------------------------------------------------------- */

enum { TICKER, ORDERBOOK, TRADE };
/* What became of a payload. */
enum { FAILED = -2, NOT_AS_PREDICTED = -1, REFUSED = 0, TAKEN = 1 };

typedef struct {
    PyObject_HEAD
    SlotCore *slot;
    PyObject *marker;  /* bytes, what stands before the timestamp (ticker) or the id (trade) */
    PyObject *tails;   /* tuple of bytes, one of which ends the payload (orderbook) */
    Py_ssize_t position;
    int kind;
    Py_ssize_t rare;   /* where in the marker the byte stands that is looked for first */
} Lane;

static const char *
find_last(const char *start, const char *end, const char *what, Py_ssize_t length)
{
    for (const char *at = end - length; at >= start; at--)
        if (*at == *what && memcmp(at, what, length) == 0) return at;
    return NULL;
}

static const char *
find_first(const char *start, const char *end, const char *what, Py_ssize_t length, Py_ssize_t rare)
{
    const char *at = start + rare, *stop = end - length + rare + 1;
    while (at < stop && (at = memchr(at, what[rare], stop - at)) != NULL) {
        if (memcmp(at - rare, what, length) == 0) return at - rare;
        at++;
    }
    return NULL;
}

/* Whether the bytes at `at` sort before the bytes object `other`. */
static int
is_before(const char *at, Py_ssize_t length, PyObject *other)
{
    Py_ssize_t other_length = PyBytes_GET_SIZE(other);
    int order = memcmp(at, PyBytes_AS_STRING(other), length < other_length ? length : other_length);
    return order < 0 || (order == 0 && length < other_length);
}

static int
append_to(PyObject *history, PyObject *entry)
{
    PyObject *args[2] = {history, entry};
    PyObject *done = PyObject_VectorcallMethod(str_append, args, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (done == NULL) return -1;
    Py_DECREF(done);
    return 0;
}

static void
replace(PyObject **field, PyObject *value)
{
    PyObject *before = *field;
    *field = Py_NewRef(value);
    Py_XDECREF(before);
}

/* Python code owns these fields as well: never trust that they are there and what they should be. */
static int
check_slot(SlotCore *slot)
{
    if (slot->timestamp && PyBytes_Check(slot->timestamp) && slot->largest_id && PyBytes_Check(slot->largest_id)
        && slot->current && slot->history && slot->recent_ids)
        return 0;
    PyErr_SetString(PyExc_TypeError, "a slot's fields are not what they should be");
    return -1;
}

/* Calls `slot.name(entry, ...)`, which says whether the entry was taken. */
static int
ask_slot(PyObject *name, SlotCore *slot, PyObject *entry, PyObject *timestamp, PyObject *identity)
{
    PyObject *args[4] = {(PyObject *)slot, entry, timestamp, identity};
    size_t count = identity == NULL ? 3 : 4;
    PyObject *answer = PyObject_VectorcallMethod(name, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (answer == NULL) return FAILED;
    int taken = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return taken < 0 ? FAILED : taken ? TAKEN : REFUSED;
}

static int
take_state(SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits)
{
    int is_older = is_before(at, digits, slot->timestamp);
    PyObject *timestamp = PyBytes_FromStringAndSize(at, digits);
    if (timestamp == NULL) return FAILED;
    int result = TAKEN;
    if (is_older) {
        result = ask_slot(str_take, slot, entry, timestamp, NULL);
    }
    else {
        replace(&slot->timestamp, timestamp);
        replace(&slot->current, entry);
        slot->revision++;
        if (append_to(slot->history, entry)) result = FAILED;
    }
    Py_DECREF(timestamp);
    return result;
}

static int
take_trade(SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits, PyObject *identity, Py_ssize_t epoch)
{
    PyObject *largest = slot->largest_id;
    int is_usual = epoch == slot->epoch
        && PyBytes_GET_SIZE(identity) == PyBytes_GET_SIZE(largest)
        && memcmp(PyBytes_AS_STRING(identity), PyBytes_AS_STRING(largest), PyBytes_GET_SIZE(largest)) > 0
        && !is_before(at, digits, slot->timestamp)
        && PySet_Check(slot->recent_ids);
    PyObject *timestamp = PyBytes_FromStringAndSize(at, digits);
    if (timestamp == NULL) return FAILED;
    int result = TAKEN;
    if (!is_usual) {
        result = ask_slot(str_take_identified, slot, entry, timestamp, identity);
    }
    else if (PySet_Add(slot->recent_ids, identity)) {
        result = FAILED;
    }
    else {
        replace(&slot->largest_id, identity);
        replace(&slot->timestamp, timestamp);
        replace(&slot->current, entry);
        slot->revision++;
        if (append_to(slot->history, entry)) result = FAILED;
        else if (PySet_GET_SIZE(slot->recent_ids) >= slot->id_window) {
            PyObject *done = PyObject_CallMethodNoArgs((PyObject *)slot, str_rotate_ids);
            if (done == NULL) result = FAILED;
            Py_XDECREF(done);
        }
    }
    Py_DECREF(timestamp);
    return result;
}

static PyObject *
new_entry(PyObject *payload, PyObject *stamp)
{
    return PyTuple_Pack(2, payload, stamp);
}

/* Files one payload; `*entry` is set where the answer is TAKEN. */
static int
lane_take(Lane *lane, PyObject *payload, PyObject *stamp, Py_ssize_t epoch, PyObject **entry)
{
    const char *data = PyBytes_AS_STRING(payload);
    Py_ssize_t size = PyBytes_GET_SIZE(payload);
    Py_ssize_t position = lane->position < size ? lane->position : size;
    const char *end = data + size, *at;
    PyObject *identity = NULL;
    SlotCore *slot = lane->slot;
    if (slot == NULL || check_slot(slot)) return FAILED;
    if (lane->kind == ORDERBOOK) {
        int is_ours = 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(lane->tails) && !is_ours; i++) {
            PyObject *tail = PyTuple_GET_ITEM(lane->tails, i);
            Py_ssize_t length = PyBytes_GET_SIZE(tail);
            is_ours = length <= size && memcmp(end - length, PyBytes_AS_STRING(tail), length) == 0;
        }
        if (!is_ours) return NOT_AS_PREDICTED;
        at = data + position;
    }
    else {
        const char *marker = PyBytes_AS_STRING(lane->marker);
        Py_ssize_t length = PyBytes_GET_SIZE(lane->marker);
        if (lane->kind == TICKER) {
            const char *found = find_last(data + position, end, marker, length);
            if (found == NULL) return NOT_AS_PREDICTED;
            at = found + length;
        }
        else {
            const char *found = find_first(data + position, end, marker, length, lane->rare);
            if (found == NULL) return NOT_AS_PREDICTED;
            const char *stop = memchr(found + length, ',', end - found - length);
            if (stop == NULL) return NOT_AS_PREDICTED;
            identity = PyBytes_FromStringAndSize(found + length, stop - found - length);
            if (identity == NULL) return FAILED;
            at = data + position;
        }
    }
    Py_ssize_t digits = end - at < TIMESTAMP_DIGITS ? end - at : TIMESTAMP_DIGITS;
    PyObject *made = new_entry(payload, stamp);
    int result = FAILED;
    if (made != NULL) {
        result = identity == NULL ? take_state(slot, made, at, digits)
                                  : take_trade(slot, made, at, digits, identity, epoch);
        if (result == TAKEN) *entry = Py_NewRef(made);
        Py_DECREF(made);
    }
    Py_XDECREF(identity);
    return result;
}

static int
stamp_epoch(PyObject *stamp, Py_ssize_t *epoch)
{
    if (!PyTuple_CheckExact(stamp) || PyTuple_GET_SIZE(stamp) != 2) {
        PyErr_SetString(PyExc_TypeError, "a stamp is a tuple of a time and an epoch");
        return -1;
    }
    *epoch = PyLong_AsSsize_t(PyTuple_GET_ITEM(stamp, 1));
    return *epoch == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
lane_file(Lane *self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t epoch;
    if (nargs != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "file(bytes, stamp)");
        return NULL;
    }
    if (stamp_epoch(args[1], &epoch)) return NULL;
    PyObject *entry = NULL;
    switch (lane_take(self, args[0], args[1], epoch, &entry)) {
    case TAKEN: return entry;
    case REFUSED: Py_RETURN_FALSE;
    case NOT_AS_PREDICTED: Py_RETURN_NONE;
    default: return NULL;
    }
}

static int
lane_init(Lane *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"kind", "slot", "position", "marker", "tails", NULL};
    const char *kind;
    PyObject *slot, *marker, *tails;
    Py_ssize_t position;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "sO!nO!O!", names, &kind, &SlotCoreType, &slot, &position,
                                     &PyBytes_Type, &marker, &PyTuple_Type, &tails))
        return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tails); i++) {
        if (!PyBytes_Check(PyTuple_GET_ITEM(tails, i))) {
            PyErr_SetString(PyExc_TypeError, "tails must be bytes");
            return -1;
        }
    }
    if (position < 0 || (PyBytes_GET_SIZE(marker) == 0 && strcmp(kind, "orderbook") != 0)) {
        PyErr_SetString(PyExc_ValueError, "position must not be negative and marker not empty");
        return -1;
    }
    self->kind = strcmp(kind, "ticker") == 0 ? TICKER : strcmp(kind, "trade") == 0 ? TRADE : ORDERBOOK;
    self->position = position;
    /* In `"sequential_id":` the q stands nowhere else in a trade; of other markers any letter does. */
    const char *q = memchr(PyBytes_AS_STRING(marker), 'q', PyBytes_GET_SIZE(marker));
    self->rare = q == NULL ? 0 : q - PyBytes_AS_STRING(marker);
    replace((PyObject **)&self->slot, slot);
    replace(&self->marker, marker);
    replace(&self->tails, tails);
    return 0;
}

static int
lane_traverse(Lane *self, visitproc visit, void *arg)
{
    Py_VISIT(self->slot);
    return 0;
}

static int
lane_clear(Lane *self)
{
    Py_CLEAR(self->slot);
    return 0;
}

static void
lane_dealloc(Lane *self)
{
    PyObject_GC_UnTrack(self);
    lane_clear(self);
    Py_XDECREF(self->marker);
    Py_XDECREF(self->tails);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef lane_methods[] = {
    {"file", (PyCFunction)(void (*)(void))lane_file, METH_FASTCALL,
     PyDoc_STR("file(payload, stamp) -> entry, False (refused) or None (not as predicted)")},
    {NULL}
};

static PyMemberDef lane_members[] = {
    {"slot", T_OBJECT_EX, offsetof(Lane, slot), READONLY, NULL},
    {NULL}
};

static PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.Lane",
    .tp_doc = PyDoc_STR("Lane(kind, slot, position, marker, tails): files payloads of one slot in one spelling."),
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)lane_init,
    .tp_dealloc = (destructor)lane_dealloc,
    .tp_traverse = (traverseproc)lane_traverse,
    .tp_clear = (inquiry)lane_clear,
    .tp_methods = lane_methods,
    .tp_members = lane_members,
};

/* -- batches ------------------------------------------------------------------------------------------------------ */

/* The lane of a payload, borrowed; NULL without an exception where there is none. */
static PyObject *
lane_of(PyObject *message, PyObject *by_start, PyObject *by_head)
{
    const char *data = PyBytes_AS_STRING(message);
    Py_ssize_t size = PyBytes_GET_SIZE(message);
    PyObject *key = PyBytes_FromStringAndSize(data, size < START_LENGTH ? size : START_LENGTH);
    if (key == NULL) return NULL;
    PyObject *lane = PyDict_GetItemWithError(by_start, key);
    Py_DECREF(key);
    if (lane != NULL || PyErr_Occurred()) return lane;
    const char *at = size > HEAD_SCAN_FROM ? find_first(data + HEAD_SCAN_FROM, data + size, "\":", 2, 1) : NULL;
    Py_ssize_t length = at == NULL ? (size < 1 ? size : 1) : at - data + 2;
    key = PyBytes_FromStringAndSize(data, length);
    if (key == NULL) return NULL;
    lane = PyDict_GetItemWithError(by_head, key);
    Py_DECREF(key);
    return lane;
}

/* The same for a lane that Python made. */
static int
other_lane_take(PyObject *lane, PyObject *message, PyObject *stamp, PyObject **entry)
{
    PyObject *args[3] = {lane, message, stamp};
    PyObject *answer = PyObject_VectorcallMethod(str_file, args, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (answer == NULL) return FAILED;
    if (answer == Py_None || answer == Py_False) {
        Py_DECREF(answer);
        return answer == Py_None ? NOT_AS_PREDICTED : REFUSED;
    }
    *entry = answer;
    return TAKEN;
}

PyDoc_STRVAR(file_doc,
"file(messages, position, by_start, by_head, stamp, attend) -> position\n\n"
"File the messages from `position` on, up to one that no lane reads. Where a slot that took one is attended,\n"
"`attend(slot, entry)` is called.");

static PyObject *
speedups_file(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t epoch, position;
    if (nargs != 6 || !PyList_CheckExact(args[0]) || !PyDict_CheckExact(args[2]) || !PyDict_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "file(list, int, dict, dict, stamp, attend)");
        return NULL;
    }
    PyObject *messages = args[0], *by_start = args[2], *by_head = args[3], *stamp = args[4], *attend = args[5];
    position = PyLong_AsSsize_t(args[1]);
    if (position < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "position must not be negative");
        return NULL;
    }
    if (stamp_epoch(stamp, &epoch)) return NULL;
    for (; position < PyList_GET_SIZE(messages); position++) {
        PyObject *message = PyList_GET_ITEM(messages, position), *entry = NULL;
        if (!PyBytes_Check(message)) {
            PyErr_SetString(PyExc_TypeError, "messages must be bytes");
            return NULL;
        }
        PyObject *lane = lane_of(message, by_start, by_head);
        if (lane == NULL) {
            if (PyErr_Occurred()) return NULL;
            break;
        }
        Py_INCREF(message); /* what is called may change the list or the tables */
        Py_INCREF(lane);
        int is_ours = Py_IS_TYPE(lane, &LaneType);
        int result = is_ours ? lane_take((Lane *)lane, message, stamp, epoch, &entry)
                             : other_lane_take(lane, message, stamp, &entry);
        if (result == TAKEN) {
            PyObject *slot = is_ours ? Py_NewRef(((Lane *)lane)->slot) : PyObject_GetAttrString(lane, "slot");
            if (slot == NULL || !PyObject_TypeCheck(slot, &SlotCoreType)) {
                if (slot != NULL) PyErr_SetString(PyExc_TypeError, "a lane's slot must be a SlotCore");
                result = FAILED;
            }
            else if (((SlotCore *)slot)->is_attended) {
                PyObject *done = PyObject_CallFunctionObjArgs(attend, slot, entry, NULL);
                if (done == NULL) result = FAILED;
                Py_XDECREF(done);
            }
            Py_XDECREF(slot);
            Py_DECREF(entry);
        }
        Py_DECREF(lane);
        Py_DECREF(message);
        if (result == FAILED) return NULL;
        if (result == NOT_AS_PREDICTED) break;
    }
    return PyLong_FromSsize_t(position);
}

/* -- the module --------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"split", (PyCFunction)(void (*)(void))speedups_split, METH_FASTCALL, split_doc},
    {"file", (PyCFunction)(void (*)(void))speedups_file, METH_FASTCALL, file_doc},
    {NULL}
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_upbit_ws_speedups", PyDoc_STR("The inner loops of upbit_ws; see its protocol folder."),
    -1, methods,
};

PyMODINIT_FUNC
PyInit__upbit_ws_speedups(void)
{
    str_append = PyUnicode_InternFromString("append");
    str_take = PyUnicode_InternFromString("take");
    str_take_identified = PyUnicode_InternFromString("take_identified");
    str_rotate_ids = PyUnicode_InternFromString("rotate_ids");
    str_file = PyUnicode_InternFromString("file");
    if (!str_append || !str_take || !str_take_identified || !str_rotate_ids || !str_file) return NULL;
    if (PyType_Ready(&SlotCoreType) < 0 || PyType_Ready(&LaneType) < 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (PyModule_AddIntConstant(module, "VERSION", SPEEDUPS_VERSION) < 0
        || PyModule_AddObjectRef(module, "SlotCore", (PyObject *)&SlotCoreType) < 0
        || PyModule_AddObjectRef(module, "Lane", (PyObject *)&LaneType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
