/* Frames out of a read. Part of module.c. */

#define FRAME_HEAD 4

/* The length of the payload of the common frame that stands whole in these bytes; 0 where it is cut or another one. */
static Py_ssize_t
common_length(const unsigned char *frame, Py_ssize_t size)
{
    if (size < FRAME_HEAD || frame[0] != 0x82 || frame[1] != 0x7E) return 0;
    Py_ssize_t length = ((Py_ssize_t)frame[2] << 8) | frame[3];
    return length >= 126 && length <= size - FRAME_HEAD ? length : 0;
}

/* Where it stopped; -1 with an exception. */
static Py_ssize_t
split_common(const char *data, Py_ssize_t size, Py_ssize_t position, PyObject *messages)
{
    Py_ssize_t length;
    while ((length = common_length((const unsigned char *)data + position, size - position)) != 0) {
        PyObject *payload = PyBytes_FromStringAndSize(data + position + FRAME_HEAD, length);
        if (payload == NULL) return -1;
        int failed = PyList_Append(messages, payload);
        Py_DECREF(payload);
        if (failed) return -1;
        position += FRAME_HEAD + length;
    }
    return position;
}

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
    position = split_common(PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]), position, args[2]);
    return position < 0 ? NULL : PyLong_FromSsize_t(position);
}
