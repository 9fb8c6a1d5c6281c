/* The inner loops of the SDK: frames out of a read, and payloads into their slots.
 *
 * Everything here also exists in Python, in frames.py, slots.py and lanes.py, which say what it does and why; the tests
 * hold both to the same results. This file has the common cases only. Whatever is not common (another opcode, a payload
 * that is not as predicted, an id that does not grow, a new epoch) is handed back to the Python code.
 *
 * All of it runs with the interpreter's lock held and touches no file, socket or clock, except `read_when_ready`, which is
 * wire/poller.py's.
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
#include <sys/socket.h>
#endif

/* Raised with every change of what Python expects of this module; `_extension.py` has the same number. */
#define SPEEDUPS_VERSION 3

#define START_LENGTH 43
#define HEAD_SCAN_FROM 29
#define TIMESTAMP_DIGITS 13

static PyObject *str_take, *str_take_identified, *str_file;

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

/* -- histories ---------------------------------------------------------------------------------------------------- */

/* The newest `maxlen` entries, oldest first. What it holds are payloads and stamps, which refer to nothing, so the garbage
 * collector does not go through the histories of all markets. */
typedef struct {
    PyObject_HEAD
    PyObject **items;
    Py_ssize_t size, allocated, maxlen, first;
} Ring;

static int
ring_append(Ring *self, PyObject *entry)
{
    if (self->size == self->maxlen) {
        PyObject *oldest = self->items[self->first];
        self->items[self->first] = Py_NewRef(entry);
        if (++self->first == self->maxlen) self->first = 0;
        Py_DECREF(oldest);
        return 0;
    }
    if (self->size == self->allocated) { /* `first` is 0 until it is full */
        Py_ssize_t wanted = self->allocated < 8 ? 8 : self->allocated * 2;
        if (wanted > self->maxlen) wanted = self->maxlen;
        PyObject **items = PyMem_Realloc(self->items, wanted * sizeof(PyObject *));
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->items = items;
        self->allocated = wanted;
    }
    self->items[self->size++] = Py_NewRef(entry);
    return 0;
}

static Py_ssize_t
ring_length(Ring *self)
{
    return self->size;
}

static PyObject *
ring_item(Ring *self, Py_ssize_t index)
{
    if (index < 0 || index >= self->size) {
        PyErr_SetString(PyExc_IndexError, "index out of range");
        return NULL;
    }
    Py_ssize_t at = self->first + index;
    return Py_NewRef(self->items[at < self->maxlen ? at : at - self->maxlen]);
}

static PyObject *
ring_append_method(Ring *self, PyObject *entry)
{
    if (self->maxlen == 0) { /* made by `__new__` alone */
        PyErr_SetString(PyExc_ValueError, "this Ring has no maxlen yet");
        return NULL;
    }
    if (ring_append(self, entry)) return NULL;
    Py_RETURN_NONE;
}

static int
ring_init(Ring *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"entries", "maxlen", NULL};
    PyObject *entries;
    Py_ssize_t maxlen;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "On", names, &entries, &maxlen)) return -1;
    if (maxlen < 1 || self->maxlen != 0) {
        PyErr_SetString(PyExc_ValueError, "maxlen must be at least 1, and is set once");
        return -1;
    }
    self->maxlen = maxlen;
    PyObject *iterator = PyObject_GetIter(entries), *entry;
    if (iterator == NULL) return -1;
    while ((entry = PyIter_Next(iterator)) != NULL) {
        int failed = ring_append(self, entry);
        Py_DECREF(entry);
        if (failed) break;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : 0;
}

static void
ring_dealloc(Ring *self)
{
    for (Py_ssize_t i = 0; i < self->size; i++) Py_DECREF(self->items[i]);
    PyMem_Free(self->items);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef ring_methods[] = {
    {"append", (PyCFunction)ring_append_method, METH_O, PyDoc_STR("Add an entry; the oldest one goes where it is full.")},
    {NULL}
};

static PySequenceMethods ring_as_sequence = {
    .sq_length = (lenfunc)ring_length,
    .sq_item = (ssizeargfunc)ring_item,
};

static PyTypeObject RingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.Ring",
    .tp_doc = PyDoc_STR("Ring(entries, maxlen): the newest entries, oldest first."),
    .tp_basicsize = sizeof(Ring),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)ring_init,
    .tp_dealloc = (destructor)ring_dealloc,
    .tp_methods = ring_methods,
    .tp_as_sequence = &ring_as_sequence,
};

/* -- ids ---------------------------------------------------------------------------------------------------------- */

/* The last `size` ids. Nearly always the next one is larger than all before it, so looking for it can be slow. */
typedef struct {
    PyObject_HEAD
    int64_t *ids;
    Py_ssize_t size, count, next, allocated;
    int64_t largest;
    /* Sets of ids, as bytes, that are remembered beside them, or NULL. After `size` ids in line the younger one takes
     * the place of the older one, so each is remembered until at least that many others came. */
    PyObject *beside, *beside_older;
    Py_ssize_t since;  /* how many came in line since it last did */
} IdWindow;

/* -1 where it is no number of 1 to 18 digits without a leading zero. */
static int64_t
parse_id(const char *at, Py_ssize_t length)
{
    if (length < 1 || length > 18 || (*at == '0' && length > 1)) return -1;
    int64_t value = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        if (at[i] < '0' || at[i] > '9') return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

/* 1, 0, or -1 with an exception. */
static int
window_knows(IdWindow *self, int64_t id, PyObject *identity)
{
    if (id >= 0)
        for (Py_ssize_t i = 0; i < self->count; i++)
            if (self->ids[i] == id) return 1;
    int known = self->beside == NULL ? 0 : PySet_Contains(self->beside, identity);
    return known || self->beside_older == NULL ? known : PySet_Contains(self->beside_older, identity);
}

/* Another id came in line. */
static void
window_count(IdWindow *self)
{
    if (++self->since < self->size) return;
    self->since = 0;
    PyObject *oldest = self->beside_older;
    self->beside_older = self->beside;
    self->beside = NULL;
    Py_XDECREF(oldest);
}

static int
window_push(IdWindow *self, int64_t id)
{
    if (self->count < self->size && self->count == self->allocated) {
        Py_ssize_t wanted = self->allocated < 16 ? 16 : self->allocated * 2;
        if (wanted > self->size) wanted = self->size;
        int64_t *ids = PyMem_Realloc(self->ids, wanted * sizeof(int64_t));
        if (ids == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->ids = ids;
        self->allocated = wanted;
    }
    self->ids[self->next] = id;
    if (self->count < self->size) self->count++;
    if (++self->next == self->size) self->next = 0;
    window_count(self);
    return 0;
}

static int
window_put_beside(IdWindow *self, PyObject *identity)
{
    if (self->beside == NULL && (self->beside = PySet_New(NULL)) == NULL) return -1;
    return PySet_Add(self->beside, identity);
}

/* True where the id is new; it is remembered. Ids that are no numbers never push out those that are. */
static PyObject *
window_admit_as(IdWindow *self, PyObject *identity, int in_line)
{
    if (!PyBytes_CheckExact(identity)) { /* the hash of a subclass could be anything, and change this window meanwhile */
        PyErr_SetString(PyExc_TypeError, "an id is bytes");
        return NULL;
    }
    if (self->size == 0) { /* made by `__new__` alone */
        PyErr_SetString(PyExc_ValueError, "this IdWindow has no size yet");
        return NULL;
    }
    int64_t id = parse_id(PyBytes_AS_STRING(identity), PyBytes_GET_SIZE(identity));
    int known = id > self->largest ? 0 : window_knows(self, id, identity);
    if (known == 0) {
        if (id > self->largest) self->largest = id;
        if (in_line && id >= 0 ? window_push(self, id) : window_put_beside(self, identity)) known = -1;
        else if (in_line && id < 0) window_count(self);
    }
    return known < 0 ? NULL : PyBool_FromLong(!known);
}

static PyObject *
window_admit(IdWindow *self, PyObject *identity)
{
    return window_admit_as(self, identity, 1);
}

static PyObject *
window_admit_beside(IdWindow *self, PyObject *identity)
{
    return window_admit_as(self, identity, 0);
}

static int
window_contains(IdWindow *self, PyObject *identity)
{
    if (!PyBytes_CheckExact(identity)) return 0;
    return window_knows(self, parse_id(PyBytes_AS_STRING(identity), PyBytes_GET_SIZE(identity)), identity);
}

static Py_ssize_t
window_length(IdWindow *self)
{
    Py_ssize_t beside = self->beside == NULL ? 0 : PySet_GET_SIZE(self->beside);
    return self->count + beside + (self->beside_older == NULL ? 0 : PySet_GET_SIZE(self->beside_older));
}

static PyObject *
window_resize(IdWindow *self, PyObject *argument)
{
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    if (size < 1 || self->size == 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "size must be at least 1, and be there already");
        return NULL;
    }
    Py_ssize_t kept = self->count < size ? self->count : size;
    int64_t *ids = PyMem_Malloc((kept ? kept : 1) * sizeof(int64_t));
    if (ids == NULL) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < kept; i++) { /* the newest ones, oldest first */
        Py_ssize_t at = self->next - kept + i;
        ids[i] = self->ids[at < 0 ? at + self->count : at];
    }
    PyMem_Free(self->ids);
    self->ids = ids;
    self->allocated = kept ? kept : 1;
    self->count = kept;
    self->size = size;
    self->next = kept == size ? 0 : kept;
    Py_RETURN_NONE;
}

static int
window_init(IdWindow *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"size", NULL};
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "n", names, &size)) return -1;
    if (size < 1 || self->size != 0) {
        PyErr_SetString(PyExc_ValueError, "size must be at least 1, and is given once");
        return -1;
    }
    self->size = size;
    self->largest = -1;
    return 0;
}

static void
window_dealloc(IdWindow *self)
{
    PyMem_Free(self->ids);
    Py_XDECREF(self->beside);
    Py_XDECREF(self->beside_older);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef window_methods[] = {
    {"admit", (PyCFunction)window_admit, METH_O, PyDoc_STR("Whether an id is new; it is remembered.")},
    {"admit_beside", (PyCFunction)window_admit_beside, METH_O,
     PyDoc_STR("The same, and no other id is forgotten for it.")},
    {"resize", (PyCFunction)window_resize, METH_O, PyDoc_STR("Remember this many ids from now on.")},
    {NULL}
};

static PySequenceMethods window_as_sequence = {
    .sq_length = (lenfunc)window_length,
    .sq_contains = (objobjproc)window_contains,
};

static PyTypeObject IdWindowType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.IdWindow",
    .tp_doc = PyDoc_STR("IdWindow(size): the last ids."),
    .tp_basicsize = sizeof(IdWindow),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)window_init,
    .tp_dealloc = (destructor)window_dealloc,
    .tp_methods = window_methods,
    .tp_as_sequence = &window_as_sequence,
};

/* -- slots -------------------------------------------------------------------------------------------------------- */

#define LONGEST_TIMESTAMP 23

typedef struct {
    PyObject_HEAD
    PyObject *current;  /* (payload, stamp) or None */
    PyObject *history;  /* Ring */
    PyObject *ids;      /* IdWindow, or None where payloads have no ids */
    Py_ssize_t revision;
    Py_ssize_t epoch;
    char is_attended;
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
    Py_CLEAR(self->current);
    Py_CLEAR(self->history);
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

static PyMemberDef core_members[] = {
    {"current", T_OBJECT_EX, offsetof(SlotCore, current), 0, NULL},
    {"history", T_OBJECT_EX, offsetof(SlotCore, history), 0, NULL},
    {"ids", T_OBJECT_EX, offsetof(SlotCore, ids), 0, NULL},
    {"revision", T_PYSSIZET, offsetof(SlotCore, revision), 0, NULL},
    {"epoch", T_PYSSIZET, offsetof(SlotCore, epoch), 0, NULL},
    {"is_attended", T_BOOL, offsetof(SlotCore, is_attended), 0, NULL},
    {NULL}
};

static PyGetSetDef core_getset[] = {
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
    if (end - start < length) return NULL;
    for (const char *at = end - length; at >= start; at--)
        if (*at == *what && memcmp(at, what, length) == 0) return at;
    return NULL;
}

static const char *
find_first(const char *start, const char *end, const char *what, Py_ssize_t length, Py_ssize_t rare)
{
    if (end - start < length) return NULL;
    const char *at = start + rare, *stop = end - length + rare + 1;
    while (at < stop && (at = memchr(at, what[rare], stop - at)) != NULL) {
        if (memcmp(at - rare, what, length) == 0) return at - rare;
        at++;
    }
    return NULL;
}

/* Whether the digits at `at` sort before those of the slot, as bytes do. */
static int
is_before(const char *at, Py_ssize_t length, const SlotCore *slot)
{
    int order = memcmp(at, slot->timestamp, length < slot->digits ? length : slot->digits);
    return order < 0 || (order == 0 && length < slot->digits);
}

/* Python code owns these fields as well: never trust that they are there and what they should be. */
static int
check_slot(const SlotCore *slot)
{
    if (slot && slot->current && slot->history && Py_IS_TYPE(slot->history, &RingType) && ((Ring *)slot->history)->maxlen
        && slot->ids && (slot->ids == Py_None || (Py_IS_TYPE(slot->ids, &IdWindowType) && ((IdWindow *)slot->ids)->size)))
        return 0;
    PyErr_SetString(PyExc_TypeError, "a slot's fields are not what they should be");
    return -1;
}

/* The usual case: the entry becomes the newest one. What is let go of may run code, so that comes last. */
static int
advance(SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits)
{
    memcpy(slot->timestamp, at, digits);
    slot->digits = (unsigned char)digits;
    PyObject *before = slot->current;
    slot->current = Py_NewRef(entry);
    slot->revision++;
    int failed = ring_append((Ring *)slot->history, entry);
    Py_DECREF(before);
    return failed ? FAILED : TAKEN;
}

/* Calls `slot.name(entry, ...)`, which says whether the entry was taken. */
static int
ask_slot(PyObject *name, SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits, PyObject *identity)
{
    PyObject *timestamp = PyBytes_FromStringAndSize(at, digits);
    if (timestamp == NULL) return FAILED;
    PyObject *args[4] = {(PyObject *)slot, entry, timestamp, identity};
    size_t count = identity == NULL ? 3 : 4;
    PyObject *answer = PyObject_VectorcallMethod(name, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(timestamp);
    if (answer == NULL) return FAILED;
    int taken = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return taken < 0 ? FAILED : taken ? TAKEN : REFUSED;
}

static int
take_state(SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits)
{
    if (is_before(at, digits, slot)) return ask_slot(str_take, slot, entry, at, digits, NULL);
    return advance(slot, entry, at, digits);
}

static int
take_trade(SlotCore *slot, PyObject *entry, const char *at, Py_ssize_t digits, const char *id, Py_ssize_t id_length,
           Py_ssize_t epoch)
{
    if (epoch == slot->epoch && slot->ids != Py_None && !is_before(at, digits, slot)) {
        IdWindow *ids = (IdWindow *)slot->ids;
        int64_t number = parse_id(id, id_length);
        if (number > ids->largest) {
            ids->largest = number;
            return window_push(ids, number) ? FAILED : advance(slot, entry, at, digits);
        }
    }
    PyObject *identity = PyBytes_FromStringAndSize(id, id_length);
    if (identity == NULL) return FAILED;
    int result = ask_slot(str_take_identified, slot, entry, at, digits, identity);
    Py_DECREF(identity);
    return result;
}

static PyObject *
new_entry(PyObject *payload, PyObject *stamp)
{
    PyObject *entry = PyTuple_Pack(2, payload, stamp);
    /* Bytes, a time and a number form no cycle. The collector would find that out later, at the cost of a look at each. */
    if (entry != NULL && PyBytes_CheckExact(payload)) PyObject_GC_UnTrack(entry);
    return entry;
}

/* Files one payload; `*entry` is set where the answer is TAKEN. */
static int
lane_take(Lane *lane, PyObject *payload, PyObject *stamp, Py_ssize_t epoch, PyObject **entry)
{
    const char *data = PyBytes_AS_STRING(payload);
    Py_ssize_t size = PyBytes_GET_SIZE(payload);
    Py_ssize_t position = lane->position < size ? lane->position : size;
    const char *end = data + size, *at, *id = NULL;
    Py_ssize_t id_length = 0;
    SlotCore *slot = lane->slot;
    if (check_slot(slot)) return FAILED;
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
            id = found + length;
            id_length = stop - id;
            at = data + position;
        }
    }
    Py_ssize_t digits = end - at < TIMESTAMP_DIGITS ? end - at : TIMESTAMP_DIGITS;
    PyObject *made = new_entry(payload, stamp);
    int result = FAILED;
    if (made != NULL) {
        result = id == NULL ? take_state(slot, made, at, digits)
                            : take_trade(slot, made, at, digits, id, id_length, epoch);
        if (result == TAKEN) *entry = Py_NewRef(made);
        Py_DECREF(made);
    }
    return result;
}

static int
stamp_epoch(PyObject *stamp, Py_ssize_t *epoch)
{
    PyObject *time = PyTuple_CheckExact(stamp) && PyTuple_GET_SIZE(stamp) == 2 ? PyTuple_GET_ITEM(stamp, 0) : NULL;
    if (time == NULL || !(PyFloat_CheckExact(time) || PyLong_CheckExact(time))
        || !PyLong_CheckExact(PyTuple_GET_ITEM(stamp, 1))) {
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
    if (self->slot != NULL) { /* what files by this lane counts on its slot to stay */
        PyErr_SetString(PyExc_ValueError, "a lane is set once");
        return -1;
    }
    if (strcmp(kind, "ticker") == 0) self->kind = TICKER;
    else if (strcmp(kind, "orderbook") == 0) self->kind = ORDERBOOK;
    else if (strcmp(kind, "trade") == 0) self->kind = TRADE;
    else {
        PyErr_SetString(PyExc_ValueError, "kind must be ticker, orderbook or trade");
        return -1;
    }
    self->position = position;
    /* In `"sequential_id":` the q stands nowhere else in a trade; of other markers any letter does. */
    const char *q = memchr(PyBytes_AS_STRING(marker), 'q', PyBytes_GET_SIZE(marker));
    self->rare = q == NULL ? 0 : q - PyBytes_AS_STRING(marker);
    self->slot = (SlotCore *)Py_NewRef(slot);
    self->marker = Py_NewRef(marker);
    self->tails = Py_NewRef(tails);
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

/* Files one message by its lane. */
static int
file_one(PyObject *lane, PyObject *message, PyObject *stamp, Py_ssize_t epoch, PyObject *attend, PyObject *result_of_batch)
{
    PyObject *entry = NULL, *slot;
    if (Py_IS_TYPE(lane, &LaneType)) {
        int result = lane_take((Lane *)lane, message, stamp, epoch, &entry);
        if (result != TAKEN) return result;
        slot = Py_NewRef(((Lane *)lane)->slot);
    }
    else {
        int result = other_lane_take(lane, message, stamp, &entry);
        if (result != TAKEN) return result;
        slot = PyObject_GetAttrString(lane, "slot");
    }
    int result = FAILED;
    if (slot != NULL && !PyObject_TypeCheck(slot, &SlotCoreType)) {
        PyErr_SetString(PyExc_TypeError, "a lane's slot must be a SlotCore");
    }
    else if (slot != NULL) {
        result = TAKEN;
        if (((SlotCore *)slot)->is_attended) {
            PyObject *done = PyObject_CallFunctionObjArgs(attend, slot, entry, result_of_batch, NULL);
            if (done == NULL) result = FAILED;
            Py_XDECREF(done);
        }
    }
    Py_XDECREF(slot);
    Py_DECREF(entry);
    return result;
}

/* With many markets nothing of a slot is in the processor's cache any more when its next message comes. So what some
 * messages will touch is asked for ahead, one step of the way for all of them before the next step. */
#define WINDOW 24

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

static Ring *
ring_of(PyObject *lane)
{
    SlotCore *slot = Py_IS_TYPE(lane, &LaneType) ? ((Lane *)lane)->slot : NULL;
    if (slot == NULL || slot->history == NULL || !Py_IS_TYPE(slot->history, &RingType)) return NULL;
    Ring *ring = (Ring *)slot->history;
    return ring->size > 0 && ring->size == ring->maxlen ? ring : NULL;
}

static void
fetch_ahead(PyObject *const *lanes, int count)
{
    Ring *rings[WINDOW];
    PyObject *payloads[WINDOW];
    for (int i = 0; i < count; i++)
        if (Py_IS_TYPE(lanes[i], &LaneType) && ((Lane *)lanes[i])->slot) {
            PREFETCH(((Lane *)lanes[i])->slot);
            PREFETCH((char *)((Lane *)lanes[i])->slot + sizeof(SlotCore) - 1);
        }
    for (int i = 0; i < count; i++)
        if (Py_IS_TYPE(lanes[i], &LaneType) && ((Lane *)lanes[i])->slot) {
            PREFETCH(((Lane *)lanes[i])->slot->history);
            PREFETCH(((Lane *)lanes[i])->slot->current);
            PREFETCH(((Lane *)lanes[i])->slot->ids);
        }
    for (int i = 0; i < count; i++)
        if ((rings[i] = ring_of(lanes[i])) != NULL) PREFETCH(&rings[i]->items[rings[i]->first]);
    for (int i = 0; i < count; i++)
        if (rings[i] != NULL) {
            char *oldest = (char *)rings[i]->items[rings[i]->first];
            PREFETCH(oldest - 16);
            PREFETCH(oldest + sizeof(PyVarObject));
        }
    for (int i = 0; i < count; i++) {
        payloads[i] = NULL;
        if (rings[i] == NULL) continue;
        PyObject *oldest = rings[i]->items[rings[i]->first];
        if (!PyTuple_Check(oldest) || PyTuple_GET_SIZE(oldest) != 2) continue;
        payloads[i] = PyTuple_GET_ITEM(oldest, 0);
        PREFETCH((char *)payloads[i] - 16);
        PREFETCH(payloads[i]);
    }
    for (int i = 0; i < count; i++)
        if (payloads[i] != NULL && PyBytes_Check(payloads[i]))
            PREFETCH(PyBytes_AS_STRING(payloads[i]) + PyBytes_GET_SIZE(payloads[i]) + 16);
}

/* Finds the lanes of at most WINDOW messages, up to one that has none. How many; -1 with an exception. */
static int
find_lanes(PyObject *messages, Py_ssize_t position, PyObject *by_start, PyObject *by_head, PyObject **found,
           PyObject **lanes)
{
    int count = 0;
    for (; count < WINDOW && position + count < PyList_GET_SIZE(messages); count++) {
        PyObject *message = PyList_GET_ITEM(messages, position + count);
        if (!PyBytes_Check(message)) {
            PyErr_SetString(PyExc_TypeError, "messages must be bytes");
            break;
        }
        found[count] = Py_NewRef(message);
        lanes[count] = Py_XNewRef(lane_of(message, by_start, by_head));
        if (lanes[count] == NULL) {
            Py_DECREF(message);
            break;
        }
    }
    if (!PyErr_Occurred()) return count;
    while (count-- > 0) {
        Py_DECREF(found[count]);
        Py_DECREF(lanes[count]);
    }
    return -1;
}

PyDoc_STRVAR(file_doc,
"file(messages, position, by_start, by_head, stamp, attend, result) -> position\n\n"
"File the messages from `position` on, up to one that no lane reads. Where a slot that took one is attended,\n"
"`attend(slot, entry, result)` is called.");

static PyObject *
speedups_file(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 7 || !PyList_CheckExact(args[0]) || !PyDict_CheckExact(args[2]) || !PyDict_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "file(list, int, dict, dict, stamp, attend, result)");
        return NULL;
    }
    PyObject *messages = args[0], *stamp = args[4], *found[WINDOW], *lanes[WINDOW];
    Py_ssize_t epoch, position = PyLong_AsSsize_t(args[1]);
    if (position < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "position must not be negative");
        return NULL;
    }
    if (stamp_epoch(stamp, &epoch)) return NULL;
    if (position > PyList_GET_SIZE(messages)) position = PyList_GET_SIZE(messages);
    int count, is_changed, result = TAKEN;
    do {
        is_changed = 0;
        count = find_lanes(messages, position, args[2], args[3], found, lanes);
        if (count < 0) return NULL;
        if (count > 1) fetch_ahead(lanes, count);
        for (int i = 0; i < count; i++) {
            /* What was called may have changed the list: then what stands there now has another lane, or nothing does. */
            if (position >= PyList_GET_SIZE(messages) || PyList_GET_ITEM(messages, position) != found[i]) is_changed = 1;
            if (result >= REFUSED && !is_changed) {
                result = file_one(lanes[i], found[i], stamp, epoch, args[5], args[6]);
                if (result >= REFUSED) position++;
            }
            Py_DECREF(found[i]);
            Py_DECREF(lanes[i]);
        }
        if (result == FAILED) return NULL;
    } while ((count == WINDOW || is_changed) && result >= REFUSED);
    return PyLong_FromSsize_t(position);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

#ifndef MS_WINDOWS

PyDoc_STRVAR(read_doc,
"read_when_ready(fd, wake_fd, timeout, size, pause, is_flowing) -> bytes or int\n\n"
"Wait at most `timeout` seconds (None: without end) for one of two descriptors. Where only the first one is ready: what one\n"
"read of it brings, at most `size` bytes, empty at its end. Else a sum: 1 where it is ready, 2 where the other one is.\n"
"Bytes have `pause` seconds to gather before they are read; with `is_flowing` that begins at once.\n\n"
"Waiting and reading let go of the interpreter once instead of twice. Beside a thread that never waits, each time costs\n"
"a switch interval.");

/* Seconds as milliseconds for `poll`, rounded up; NaN and what is negative as none. */
static int
milliseconds_of(double seconds)
{
    double milliseconds = ceil(seconds * 1000.0);
    return !(milliseconds > 0.0) ? 0 : milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

static PyObject *
speedups_read_when_ready(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 6) {
        PyErr_SetString(PyExc_TypeError, "read_when_ready(fd, wake_fd, timeout, size, pause, is_flowing)");
        return NULL;
    }
    long fd = PyLong_AsLong(args[0]), wake_fd = PyLong_AsLong(args[1]);
    int timeout = args[2] == Py_None ? -1 : milliseconds_of(PyFloat_AsDouble(args[2]));
    Py_ssize_t size = PyLong_AsSsize_t(args[3]);
    int pause = milliseconds_of(PyFloat_AsDouble(args[4])), is_flowing = PyObject_IsTrue(args[5]);
    if (PyErr_Occurred()) return NULL;
    if (fd < 0 || fd > INT_MAX || wake_fd > INT_MAX || size < 1) {
        PyErr_SetString(PyExc_ValueError, "the descriptors and the size must be within bounds");
        return NULL;
    }
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL) return NULL;
    char *buffer = PyBytes_AS_STRING(data);
    struct pollfd waiting[2] = {{(int)fd, POLLIN, 0}, {(int)wake_fd, POLLIN, 0}}; /* a negative one is left out */
    Py_ssize_t got = -1;
    int ready = 0, problem;
    Py_BEGIN_ALLOW_THREADS
    if (!is_flowing) ready = poll(waiting, 2, timeout);
    if (is_flowing || (ready > 0 && pause && !waiting[1].revents)) {
        int woken = poll(waiting + 1, 1, pause);
        ready = woken < 0 ? woken : 1;
    }
    if (ready > 0 && (waiting[0].revents || is_flowing) && !waiting[1].revents)
        got = recv((int)fd, buffer, size, MSG_DONTWAIT); /* with `is_flowing` something is there, probably */
    problem = errno;
    Py_END_ALLOW_THREADS
    if (got >= 0) {
        _PyBytes_Resize(&data, got);
        return data;
    }
    Py_DECREF(data);
    if (ready > 0 && waiting[1].revents) return PyLong_FromLong(2 + (waiting[0].revents != 0));
    if (ready == 0 || problem == EINTR || (ready > 0 && (problem == EAGAIN || problem == EWOULDBLOCK)))
        return PyLong_FromLong(0);
    errno = problem;
    return PyErr_SetFromErrno(PyExc_OSError);
}

#endif

/* -- the module --------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"split", (PyCFunction)(void (*)(void))speedups_split, METH_FASTCALL, split_doc},
    {"file", (PyCFunction)(void (*)(void))speedups_file, METH_FASTCALL, file_doc},
#ifndef MS_WINDOWS
    {"read_when_ready", (PyCFunction)(void (*)(void))speedups_read_when_ready, METH_FASTCALL, read_doc},
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
    str_take = PyUnicode_InternFromString("take");
    str_take_identified = PyUnicode_InternFromString("take_identified");
    str_file = PyUnicode_InternFromString("file");
    if (!str_take || !str_take_identified || !str_file) return NULL;
    if (PyType_Ready(&RingType) < 0 || PyType_Ready(&IdWindowType) < 0 || PyType_Ready(&SlotCoreType) < 0
        || PyType_Ready(&LaneType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (PyModule_AddIntConstant(module, "VERSION", SPEEDUPS_VERSION) < 0
        || PyModule_AddObjectRef(module, "Ring", (PyObject *)&RingType) < 0
        || PyModule_AddObjectRef(module, "IdWindow", (PyObject *)&IdWindowType) < 0
        || PyModule_AddObjectRef(module, "SlotCore", (PyObject *)&SlotCoreType) < 0
        || PyModule_AddObjectRef(module, "Lane", (PyObject *)&LaneType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
