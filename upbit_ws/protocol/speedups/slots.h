/* `SlotCore`: what is written for every message of one key. Part of module.c. */

#define LONGEST_TIMESTAMP 23

/* What is written to stands in one line: a slot with what the collector needs has a multiple of 64 bytes, and then begins
 * with a line. */
typedef struct {
    PyObject_HEAD
    char unused[LINE - sizeof(PyObject)];
    PyObject *current;  /* (payload, stamp) or None; NULL where nobody has asked yet for the newest one, see `is_newest` */
    PyObject *history;
    PyObject *ids;      /* None where payloads have no ids */
    Py_ssize_t revision;
    int32_t epoch;
    char is_attended;
    char has_ring, has_window; /* whether `history` and `ids` are what C files into: asking them costs a wait for memory */
    char is_newest;  /* the current entry is the last one of the history, and no object yet */
    unsigned char digits;
    char timestamp[LONGEST_TIMESTAMP];
} SlotCore;

static int
core_traverse(SlotCore *self, visitproc visit, void *arg)
{
    Py_VISIT(self->current);
    Py_VISIT(self->history);
    Py_VISIT(self->ids);
    return 0;
}

static int
core_clear(SlotCore *self)
{
    self->is_newest = 0;
    Py_CLEAR(self->current);
    self->has_ring = 0;
    Py_CLEAR(self->history);
    self->has_window = 0;
    Py_CLEAR(self->ids);
    return 0;
}

static void
core_dealloc(SlotCore *self)
{
    PyObject_GC_UnTrack(self);
    core_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The current entry, as an object that stays the same until another one comes. */
static PyObject *
core_get_current(SlotCore *self, void *closure)
{
    if (self->current == NULL && self->is_newest) {
        Ring *ring = (Ring *)self->history; /* which the setter makes sure of */
        Py_ssize_t revision = self->revision;
        PyObject *entry = ring_entry(ring, ring->size - 1);
        if (entry == NULL) return NULL;
        /* Making objects may run code of others, and another entry may have come meanwhile. This one was current. */
        if (!self->is_newest || self->revision != revision) return entry;
        self->current = entry;
        self->is_newest = 0;
    }
    if (self->current == NULL) {
        PyErr_SetString(PyExc_AttributeError, "current");
        return NULL;
    }
    return Py_NewRef(self->current);
}

static int
core_set_current(SlotCore *self, PyObject *value, void *closure)
{
    PyObject *before = self->current;
    self->current = Py_XNewRef(value);
    self->is_newest = 0;
    Py_XDECREF(before);
    return 0;
}

/* Makes the current entry an object: the history is about to be changed, and then it is not the last one any more. */
static int
core_settle(SlotCore *self)
{
    while (self->is_newest) { /* another one may come while this one is made */
        PyObject *current = core_get_current(self, NULL);
        if (current == NULL) return -1;
        Py_DECREF(current);
    }
    return 0;
}

static PyObject *
core_get_history(SlotCore *self, void *closure)
{
    if (core_settle(self)) return NULL;
    if (self->history == NULL) PyErr_SetString(PyExc_AttributeError, "history");
    return Py_XNewRef(self->history);
}

static int
core_set_history(SlotCore *self, PyObject *value, void *closure)
{
    if (core_settle(self)) return -1;
    PyObject *before = self->history;
    self->history = Py_XNewRef(value);
    self->has_ring = value != NULL && Py_IS_TYPE(value, &RingType);
    Py_XDECREF(before);
    return 0;
}

static PyObject *
core_get_ids(SlotCore *self, void *closure)
{
    if (self->ids == NULL) PyErr_SetString(PyExc_AttributeError, "ids");
    return Py_XNewRef(self->ids);
}

static int
core_set_ids(SlotCore *self, PyObject *value, void *closure)
{
    PyObject *before = self->ids;
    self->ids = Py_XNewRef(value);
    self->has_window = value != NULL && Py_IS_TYPE(value, &IdWindowType);
    Py_XDECREF(before);
    return 0;
}

static PyObject *
core_get_timestamp(SlotCore *self, void *closure)
{
    return PyBytes_FromStringAndSize(self->timestamp, self->digits);
}

static int
core_set_timestamp(SlotCore *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyBytes_Check(value) || PyBytes_GET_SIZE(value) > LONGEST_TIMESTAMP) {
        PyErr_SetString(PyExc_TypeError, "a timestamp is bytes, 23 at the most");
        return -1;
    }
    self->digits = (unsigned char)PyBytes_GET_SIZE(value);
    memcpy(self->timestamp, PyBytes_AS_STRING(value), self->digits);
    return 0;
}

static PyObject *
core_get_epoch(SlotCore *self, void *closure)
{
    return PyLong_FromLong(self->epoch);
}

static int
core_set_epoch(SlotCore *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "an epoch is an int");
        return -1;
    }
    long long epoch = PyLong_AsLongLong(value);
    if (epoch == -1 && PyErr_Occurred()) return -1;
    if (epoch > INT32_MAX || epoch < INT32_MIN) {
        PyErr_SetString(PyExc_OverflowError, "an epoch must have 32 bits");
        return -1;
    }
    self->epoch = (int32_t)epoch;
    return 0;
}

static PyMemberDef core_members[] = {
    {"revision", T_PYSSIZET, offsetof(SlotCore, revision), 0, NULL},
    {"is_attended", T_BOOL, offsetof(SlotCore, is_attended), 0, NULL},
    {NULL}
};

static PyGetSetDef core_getset[] = {
    {"current", (getter)core_get_current, (setter)core_set_current, NULL, NULL},
    {"history", (getter)core_get_history, (setter)core_set_history, NULL, NULL},
    {"ids", (getter)core_get_ids, (setter)core_set_ids, NULL, NULL},
    {"epoch", (getter)core_get_epoch, (setter)core_set_epoch, NULL, NULL},
    {"timestamp", (getter)core_get_timestamp, (setter)core_set_timestamp, NULL, NULL},
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
    .tp_getset = core_getset,
};
