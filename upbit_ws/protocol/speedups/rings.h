/* `Ring`: the history of a slot. Part of module.c. */

/* The newest `maxlen` entries, oldest first. Payload and stamp of each are copied into the journal; the ring has their
 * positions.
 *
 * With many markets a history is long out of the processor's cache when its next entry comes. What costs then is not
 * copying but waiting for memory: a block to be freed, one to be handed out, an object to be let go of. Here nothing of
 * what was there is read, and the copy is written past the cache (`copy_past_cache`), so an entry costs nearly the same with
 * ten markets and with thousands. Entries become objects again when somebody reads them.
 */

#define LONGEST_COPIED 8192

/* What is written for every entry stands with what else a slot has of that kind, while the ring is its history. */
typedef struct {
    PyObject_HEAD
    RingState *state, own;
} Ring;

/* The state of a ring stands here from now on. */
static void
ring_settle(Ring *self, RingState *place)
{
    *place = *self->state;
    self->state = place;
    if (place->number) journal.rings[place->number] = place;
}

static void
ring_drop(RingState *self, Position position)
{
    if (self->apart) {
        const PlaceHead *head = (PlaceHead *)journal_place(position.place);
        if (head->is_apart) {
            PyObject *payload;
            memcpy(&payload, head + 1, sizeof(payload));
            self->apart--;
            Py_DECREF(payload);
        }
    }
    self->stream = journal_drop(position);
}

/* Room for one more position, and a number in the journal; -1 with an exception. */
static int
ring_grow(RingState *self)
{
    uint32_t allocated = !self->allocated ? 1 : self->allocated > self->maxlen / 8 ? self->maxlen : 8 * self->allocated;
    if (!self->number && !(self->number = journal_enter(self))) return -1;
    Position *positions = PyMem_Realloc(self->positions, allocated * sizeof(Position));
    if (positions == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->positions = positions;
    self->allocated = allocated;
    return 0;
}

/* Adds an entry, and the oldest one goes where it is full. `payload` is the object that `data` is of, or NULL. Runs no
 * code of others. */
static int
ring_put(RingState *self, const char *data, size_t length, PyObject *payload, double received_at, int64_t epoch)
{
    PyObject *apart = NULL;
    if (self->next == self->allocated && ring_grow(self)) return -1;
    if (length > LONGEST_COPIED) {
        apart = payload != NULL && PyBytes_CheckExact(payload) ? Py_NewRef(payload) : PyBytes_FromStringAndSize(data, length);
        if (apart == NULL) return -1;
        data = (const char *)&apart;
        length = sizeof(apart);
    }
    const uint32_t lines = lines_for(length), place = journal_room(self->stream, lines);
    if (place == NOWHERE) {
        Py_XDECREF(apart);
        return -1;
    }
    if (self->size == self->maxlen) ring_drop(self, self->positions[self->next]);
    else self->size++;
    if (apart != NULL) self->apart++;
    const PlaceHead head = {received_at, epoch, (uint32_t)length, apart != NULL, self->number, self->next};
    copy_past_cache(journal_place(place), &head, data, length);
    self->positions[self->next] = (Position){place, lines};
    if (++self->next == self->maxlen) self->next = 0;
    return 0;
}

static PyObject *
new_entry(PyObject *payload, PyObject *stamp)
{
    PyObject *entry = PyTuple_Pack(2, payload, stamp);
    /* Bytes, a time and a number form no cycle. The collector would find that out later, at the cost of a look at each. */
    if (entry != NULL && PyBytes_CheckExact(payload)) PyObject_GC_UnTrack(entry);
    return entry;
}

/* The entry at this index, as objects. */
static PyObject *
ring_entry(const RingState *self, uint32_t index)
{
    uint32_t at = self->size == self->maxlen && index >= self->maxlen - self->next ? index - (self->maxlen - self->next)
                  : self->size == self->maxlen                                     ? index + self->next
                                                                                   : index;
    const PlaceHead *head = (PlaceHead *)journal_place(self->positions[at].place);
    PyObject *payload;
    if (head->is_apart) {
        memcpy(&payload, head + 1, sizeof(payload));
        Py_INCREF(payload);
    }
    else payload = PyBytes_FromStringAndSize((const char *)(head + 1), head->length);
    PyObject *time = PyFloat_FromDouble(head->received_at), *epoch = PyLong_FromLongLong(head->epoch);
    PyObject *stamp = time && epoch ? PyTuple_Pack(2, time, epoch) : NULL;
    PyObject *entry = payload && stamp ? new_entry(payload, stamp) : NULL;
    if (stamp != NULL) PyObject_GC_UnTrack(stamp);
    Py_XDECREF(payload);
    Py_XDECREF(time);
    Py_XDECREF(epoch);
    Py_XDECREF(stamp);
    return entry;
}

static Py_ssize_t
ring_length(Ring *self)
{
    return self->state->size;
}

/* The last `count` entries as a list, oldest first. Making objects may run code of others, which may add some meanwhile. */
static PyObject *
ring_last(Ring *self, uint32_t count)
{
    PyObject *entries = PyList_New(0);
    if (entries == NULL) return NULL;
    const uint32_t size = self->state->size;
    for (uint32_t i = size - (count < size ? count : size); i < self->state->size; i++) {
        PyObject *entry = ring_entry(self->state, i);
        int failed = entry == NULL || PyList_Append(entries, entry);
        Py_XDECREF(entry);
        if (failed) {
            Py_DECREF(entries);
            return NULL;
        }
    }
    return entries;
}

static PyObject *
ring_iter(Ring *self)
{
    PyObject *entries = ring_last(self, self->state->size);
    PyObject *iterator = entries == NULL ? NULL : PyObject_GetIter(entries);
    Py_XDECREF(entries);
    return iterator;
}

static PyObject *
ring_newest(Ring *self, PyObject *argument)
{
    Py_ssize_t count = PyLong_AsSsize_t(argument);
    if (count == -1 && PyErr_Occurred()) return NULL;
    const uint32_t size = self->state->size;
    return ring_last(self, count < 0 ? 0 : count > (Py_ssize_t)size ? size : (uint32_t)count);
}

static int
read_stamp(PyObject *stamp, double *received_at, Py_ssize_t *epoch)
{
    PyObject *time = PyTuple_CheckExact(stamp) && PyTuple_GET_SIZE(stamp) == 2 ? PyTuple_GET_ITEM(stamp, 0) : NULL;
    if (time == NULL || !(PyFloat_CheckExact(time) || PyLong_CheckExact(time))
        || !PyLong_CheckExact(PyTuple_GET_ITEM(stamp, 1))) {
        PyErr_SetString(PyExc_TypeError, "a stamp is a tuple of a time and an epoch");
        return -1;
    }
    *received_at = PyFloat_AsDouble(time);
    if (*received_at == -1.0 && PyErr_Occurred()) return -1;
    *epoch = PyLong_AsSsize_t(PyTuple_GET_ITEM(stamp, 1));
    return *epoch == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
ring_append(Ring *self, PyObject *entry)
{
    double received_at;
    Py_ssize_t epoch;
    if (self->state->maxlen == 0) { /* made by `__new__` alone */
        PyErr_SetString(PyExc_ValueError, "this Ring has no maxlen yet");
        return NULL;
    }
    if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 2 || !PyBytes_CheckExact(PyTuple_GET_ITEM(entry, 0))) {
        PyErr_SetString(PyExc_TypeError, "an entry is a tuple of bytes and a stamp");
        return NULL;
    }
    if (read_stamp(PyTuple_GET_ITEM(entry, 1), &received_at, &epoch)) return NULL;
    PyObject *payload = PyTuple_GET_ITEM(entry, 0);
    if (ring_put(self->state, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), payload, received_at, epoch)) return NULL;
    STREAM_END();
    Py_RETURN_NONE;
}

static int
ring_init(Ring *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"entries", "maxlen", NULL};
    PyObject *entries;
    Py_ssize_t maxlen;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "On", names, &entries, &maxlen)) return -1;
    if (maxlen < 1 || maxlen > INT32_MAX || self->state->maxlen != 0) {
        PyErr_SetString(PyExc_ValueError, "maxlen must be at least 1 and within bounds, and is set once");
        return -1;
    }
    self->state->maxlen = (uint32_t)maxlen;
    PyObject *iterator = PyObject_GetIter(entries), *entry;
    if (iterator == NULL) return -1;
    while ((entry = PyIter_Next(iterator)) != NULL) {
        PyObject *done = ring_append(self, entry);
        Py_XDECREF(done);
        Py_DECREF(entry);
        if (done == NULL) break;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
ring_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    Ring *self = (Ring *)type->tp_alloc(type, 0);
    if (self != NULL) self->state = &self->own;
    return (PyObject *)self;
}

static void
ring_dealloc(Ring *self)
{
    RingState *state = self->state; /* its own: a slot that has it lets go of it first */
    for (uint32_t i = 0; i < state->size; i++) ring_drop(state, state->positions[i]);
    if (state->number) journal_leave(state->number);
    PyMem_Free(state->positions);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef ring_methods[] = {
    {"newest", (PyCFunction)ring_newest, METH_O, PyDoc_STR("The last so many entries as a list, oldest first.")},
    {"append", (PyCFunction)ring_append, METH_O, PyDoc_STR("Add an entry; the oldest one goes where it is full.")},
    {NULL}
};

static PySequenceMethods ring_as_sequence = {
    .sq_length = (lenfunc)ring_length,
};

static PyTypeObject RingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.Ring",
    .tp_doc = PyDoc_STR("Ring(entries, maxlen): the newest entries, oldest first."),
    .tp_basicsize = sizeof(Ring),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = ring_new,
    .tp_init = (initproc)ring_init,
    .tp_dealloc = (destructor)ring_dealloc,
    .tp_iter = (getiterfunc)ring_iter,
    .tp_methods = ring_methods,
    .tp_as_sequence = &ring_as_sequence,
};
