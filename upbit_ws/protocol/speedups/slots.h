/* `SlotCore`: what is written for every message of one key. Part of module.c. */

#define LONGEST_TIMESTAMP 23

/* What is written for every message of a key, and nothing else, in a pair of lines. */
typedef struct {
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
    RingState ring;  /* of `history`, where that is one */
} SlotState;

typedef struct {
    PyObject_HEAD
    SlotState *state; /* the first pair of `block` */
    void *block;
} SlotCore;

/* The history is what its slot has no more. */
static void
release_ring(SlotState *state)
{
    if (!state->has_ring) return;
    Ring *ring = (Ring *)state->history;
    ring_settle(ring, &ring->own);
    state->has_ring = 0;
}

static PyObject *
core_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    SlotCore *self = (SlotCore *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->block = PyMem_Calloc(1, sizeof(SlotState) + PAIR - 1);
    if (self->block == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->state = next_pair(self->block);
    return (PyObject *)self;
}

static int
core_traverse(SlotCore *self, visitproc visit, void *arg)
{
    if (self->block == NULL) return 0; /* it is being made */
    Py_VISIT(self->state->current);
    Py_VISIT(self->state->history);
    Py_VISIT(self->state->ids);
    return 0;
}

static int
core_clear(SlotCore *self)
{
    SlotState *state = self->state;
    if (self->block == NULL) return 0;
    release_ring(state); /* from here on nothing is filed into it, whatever is run below */
    state->has_window = state->is_newest = 0;
    Py_CLEAR(state->current);
    Py_CLEAR(state->history);
    Py_CLEAR(state->ids);
    return 0;
}

static void
core_dealloc(SlotCore *self)
{
    PyObject_GC_UnTrack(self);
    core_clear(self);
    PyMem_Free(self->block);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The current entry, as an object that stays the same until another one comes. */
static PyObject *
core_get_current(SlotCore *self, void *closure)
{
    SlotState *state = self->state;
    if (state->current == NULL && state->is_newest) {
        Py_ssize_t revision = state->revision;
        PyObject *entry = ring_entry(&state->ring, state->ring.size - 1); /* `release_ring` comes after `core_settle` */
        if (entry == NULL) return NULL;
        /* Making objects may run code of others, and another entry may have come meanwhile. This one was current. */
        if (!state->is_newest || state->revision != revision) return entry;
        state->current = entry;
        state->is_newest = 0;
    }
    if (state->current == NULL) {
        PyErr_SetString(PyExc_AttributeError, "current");
        return NULL;
    }
    return Py_NewRef(state->current);
}

static int
core_set_current(SlotCore *self, PyObject *value, void *closure)
{
    PyObject *before = self->state->current;
    self->state->current = Py_XNewRef(value);
    self->state->is_newest = 0;
    Py_XDECREF(before);
    return 0;
}

/* Makes the current entry an object: the history is about to be changed, and then it is not the last one any more. */
static int
core_settle(SlotCore *self)
{
    while (self->state->is_newest) { /* another one may come while this one is made */
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
    if (self->state->history == NULL) PyErr_SetString(PyExc_AttributeError, "history");
    return Py_XNewRef(self->state->history);
}

static int
core_set_history(SlotCore *self, PyObject *value, void *closure)
{
    SlotState *state = self->state;
    if (core_settle(self)) return -1;
    if (value == state->history) return 0;
    Ring *ring = value != NULL && Py_IS_TYPE(value, &RingType) ? (Ring *)value : NULL;
    if (ring != NULL && ring->state != &ring->own) {
        PyErr_SetString(PyExc_ValueError, "a Ring is the history of one slot");
        return -1;
    }
    PyObject *before = state->history;
    release_ring(state);
    state->history = Py_XNewRef(value);
    if (ring != NULL) ring_settle(ring, &state->ring);
    state->has_ring = ring != NULL;
    Py_XDECREF(before);
    return 0;
}

static PyObject *
core_get_ids(SlotCore *self, void *closure)
{
    if (self->state->ids == NULL) PyErr_SetString(PyExc_AttributeError, "ids");
    return Py_XNewRef(self->state->ids);
}

static int
core_set_ids(SlotCore *self, PyObject *value, void *closure)
{
    PyObject *before = self->state->ids;
    self->state->ids = Py_XNewRef(value);
    self->state->has_window = value != NULL && Py_IS_TYPE(value, &IdWindowType);
    Py_XDECREF(before);
    return 0;
}

static PyObject *
core_get_timestamp(SlotCore *self, void *closure)
{
    return PyBytes_FromStringAndSize(self->state->timestamp, self->state->digits);
}

static int
core_set_timestamp(SlotCore *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyBytes_Check(value) || PyBytes_GET_SIZE(value) > LONGEST_TIMESTAMP) {
        PyErr_SetString(PyExc_TypeError, "a timestamp is bytes, 23 at the most");
        return -1;
    }
    self->state->digits = (unsigned char)PyBytes_GET_SIZE(value);
    memcpy(self->state->timestamp, PyBytes_AS_STRING(value), self->state->digits);
    return 0;
}

static PyObject *
core_get_epoch(SlotCore *self, void *closure)
{
    return PyLong_FromLong(self->state->epoch);
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
    self->state->epoch = (int32_t)epoch;
    return 0;
}

static PyObject *
core_get_revision(SlotCore *self, void *closure)
{
    return PyLong_FromSsize_t(self->state->revision);
}

static int
core_set_revision(SlotCore *self, PyObject *value, void *closure)
{
    Py_ssize_t revision = value == NULL ? -1 : PyLong_AsSsize_t(value);
    if (value == NULL) PyErr_SetString(PyExc_TypeError, "a revision is an int");
    if (revision == -1 && PyErr_Occurred()) return -1;
    self->state->revision = revision;
    return 0;
}

static PyObject *
core_get_is_attended(SlotCore *self, void *closure)
{
    return PyBool_FromLong(self->state->is_attended);
}

static int
core_set_is_attended(SlotCore *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyBool_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "is_attended is a bool");
        return -1;
    }
    self->state->is_attended = value == Py_True;
    return 0;
}

static PyGetSetDef core_getset[] = {
    {"current", (getter)core_get_current, (setter)core_set_current, NULL, NULL},
    {"history", (getter)core_get_history, (setter)core_set_history, NULL, NULL},
    {"ids", (getter)core_get_ids, (setter)core_set_ids, NULL, NULL},
    {"revision", (getter)core_get_revision, (setter)core_set_revision, NULL, NULL},
    {"is_attended", (getter)core_get_is_attended, (setter)core_set_is_attended, NULL, NULL},
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
    .tp_new = core_new,
    .tp_dealloc = (destructor)core_dealloc,
    .tp_traverse = (traverseproc)core_traverse,
    .tp_clear = (inquiry)core_clear,
    .tp_getset = core_getset,
};
