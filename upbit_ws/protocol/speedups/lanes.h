/* `Lane`: files payloads of one slot in one spelling. Part of module.c. */

#if defined(__GNUC__) && defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TIMESTAMP_DIGITS 13

static PyObject *str_take, *str_take_identified;

enum { TICKER, ORDERBOOK, TRADE };
/* What became of a payload. */
enum { FAILED = -2, NOT_AS_PREDICTED = -1, REFUSED = 0, TAKEN = 1 };

/* How a payload is filed. */
typedef struct {
    SlotCore *slot;    /* NULL where there is no such rule */
    SlotState *state;  /* of the slot */
    PyObject *marker;  /* bytes, what stands before the timestamp (ticker) or the id (trade) */
    PyObject *tails;   /* tuple of bytes, one of which ends the payload (orderbook) */
    uint32_t position;
    uint16_t rare;     /* where in the marker the byte stands that is looked for first */
    uint16_t kind;
} Rule;

typedef struct {
    PyObject_HEAD
    Rule rule;
} Lane;

/* One payload and when it came. `payload` is NULL while nobody needs the object. */
typedef struct {
    const char *data;
    Py_ssize_t size;
    PyObject *payload, *stamp;
    double received_at;
    Py_ssize_t epoch;
} Arrival;

/* As `memcmp(...) == 0`, without a call for the lengths that markers and tails have. */
static int
is_same(const char *one, const char *other, Py_ssize_t length)
{
    if (length < 8 || length > 16) return memcmp(one, other, length) == 0;
    return word_at(one) == word_at(other) && word_at(one + length - 8) == word_at(other + length - 8);
}

static const char *
find_last(const char *start, const char *end, const char *what, Py_ssize_t length)
{
    if (end - start < length) return NULL;
    const char *at = end - length;
#if defined(__GNUC__) && defined(__SSE2__)
    const __m128i first = _mm_set1_epi8(*what);
    for (; at - start >= 15; at -= 16) {
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at - 15)), first));
        while (found) {
            int last = 31 - __builtin_clz(found);
            if (is_same(at - 15 + last, what, length)) return at - 15 + last;
            found ^= 1u << last;
        }
    }
#endif
    for (; at >= start; at--)
        if (*at == *what && is_same(at, what, length)) return at;
    return NULL;
}

static const char *
find_first(const char *start, const char *end, const char *what, Py_ssize_t length, Py_ssize_t rare)
{
    if (end - start < length) return NULL;
    const char *at = start + rare, *stop = end - length + rare + 1;
    while (at < stop && (at = memchr(at, what[rare], stop - at)) != NULL) {
        if (is_same(at - rare, what, length)) return at - rare;
        at++;
    }
    return NULL;
}

/* Whether the digits at `at` sort before those of the slot, as bytes do. */
static int
is_before(const char *at, Py_ssize_t length, const SlotState *slot)
{
    if (length == TIMESTAMP_DIGITS && slot->digits == TIMESTAMP_DIGITS) { /* the usual case, without a call */
        uint64_t one = big_endian_at(at), other = big_endian_at(slot->timestamp);
        if (one == other) {
            one = big_endian_at(at + TIMESTAMP_DIGITS - 8);
            other = big_endian_at(slot->timestamp + TIMESTAMP_DIGITS - 8);
        }
        return one < other;
    }
    int order = memcmp(at, slot->timestamp, length < slot->digits ? length : slot->digits);
    return order < 0 || (order == 0 && length < slot->digits);
}

/* Python code owns these fields as well: never trust that they are there and what they should be. */
static int
check_slot(const SlotState *slot)
{
    if (slot && (slot->current || slot->is_newest) && slot->has_ring && slot->ring.maxlen
        && (slot->has_window ? ((IdWindow *)slot->ids)->size != 0 : slot->ids == Py_None))
        return 0;
    PyErr_SetString(PyExc_TypeError, "a slot's fields are not what they should be");
    return -1;
}

/* What is to be let go of when a payload was filed and everything said about it: that may run code, which may do anything. */
typedef struct {
    PyObject *entry, *slot; /* what Python code was given, where it took the payload */
    PyObject *before;       /* the newest entry so far */
} Taken;

/* The usual case: what arrived becomes the newest entry. */
static int
advance(SlotState *slot, const Arrival *arrival, const char *at, Py_ssize_t digits, Taken *held)
{
    if (ring_put(&slot->ring, arrival->data, arrival->size, arrival->payload, arrival->received_at,
                 arrival->epoch))
        return FAILED;
    memcpy(slot->timestamp, at, digits);
    slot->digits = (unsigned char)digits;
    slot->revision++;
    slot->is_newest = 1;
    held->before = slot->current;
    slot->current = NULL;
    return TAKEN;
}

/* The payload as an object, borrowed. */
static PyObject *
payload_of(Arrival *arrival)
{
    if (arrival->payload == NULL) arrival->payload = PyBytes_FromStringAndSize(arrival->data, arrival->size);
    return arrival->payload;
}

/* Calls `slot.name(entry, ...)`, which says whether the entry was taken. */
static int
ask_slot(PyObject *name, SlotCore *slot, Arrival *arrival, const char *at, Py_ssize_t digits, PyObject *identity,
         Taken *held)
{
    PyObject *timestamp = PyBytes_FromStringAndSize(at, digits);
    held->slot = Py_NewRef((PyObject *)slot); /* what is called may let go of the lane */
    held->entry = payload_of(arrival) == NULL ? NULL : new_entry(arrival->payload, arrival->stamp);
    int taken = -1;
    if (timestamp != NULL && held->entry != NULL) {
        PyObject *args[4] = {held->slot, held->entry, timestamp, identity};
        size_t count = identity == NULL ? 3 : 4;
        PyObject *answer = PyObject_VectorcallMethod(name, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        taken = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
    }
    Py_XDECREF(timestamp);
    return taken < 0 ? FAILED : taken ? TAKEN : REFUSED;
}

static int
take_state(const Rule *rule, Arrival *arrival, const char *at, Py_ssize_t digits, Taken *held)
{
    if (is_before(at, digits, rule->state)) return ask_slot(str_take, rule->slot, arrival, at, digits, NULL, held);
    return advance(rule->state, arrival, at, digits, held);
}

static int
take_trade(const Rule *rule, Arrival *arrival, const char *at, Py_ssize_t digits, const char *id,
           Py_ssize_t id_length, Taken *held)
{
    SlotState *slot = rule->state;
    if (arrival->epoch == slot->epoch && slot->has_window && !is_before(at, digits, slot)) {
        IdWindow *ids = (IdWindow *)slot->ids;
        int64_t number = parse_id(id, id_length);
        if (number > ids->largest) {
            if (window_push(ids, number)) return FAILED;
            ids->largest = number;
            return advance(slot, arrival, at, digits, held);
        }
    }
    PyObject *identity = PyBytes_FromStringAndSize(id, id_length);
    if (identity == NULL) return FAILED;
    int result = ask_slot(str_take_identified, rule->slot, arrival, at, digits, identity, held);
    Py_DECREF(identity);
    return result;
}

/* Files one payload. `held` has what is to be let go of, whatever the result. */
static int
rule_take(const Rule *rule, Arrival *arrival, Taken *held)
{
    const char *data = arrival->data, *end = data + arrival->size, *at, *id = NULL;
    Py_ssize_t position = (Py_ssize_t)rule->position < arrival->size ? (Py_ssize_t)rule->position : arrival->size;
    Py_ssize_t id_length = 0;
    if (check_slot(rule->state)) return FAILED;
    if (rule->kind == ORDERBOOK) {
        int is_ours = 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(rule->tails) && !is_ours; i++) {
            PyObject *tail = PyTuple_GET_ITEM(rule->tails, i);
            Py_ssize_t length = PyBytes_GET_SIZE(tail);
            is_ours = length <= arrival->size && is_same(end - length, PyBytes_AS_STRING(tail), length);
        }
        if (!is_ours) return NOT_AS_PREDICTED;
        at = data + position;
    }
    else {
        const char *marker = PyBytes_AS_STRING(rule->marker);
        Py_ssize_t length = PyBytes_GET_SIZE(rule->marker);
        if (rule->kind == TICKER) {
            const char *found = find_last(data + position, end, marker, length);
            if (found == NULL) return NOT_AS_PREDICTED;
            at = found + length;
        }
        else {
            const char *found = find_first(data + position, end, marker, length, rule->rare);
            if (found == NULL) return NOT_AS_PREDICTED;
            const char *stop = memchr(found + length, ',', end - found - length);
            if (stop == NULL) return NOT_AS_PREDICTED;
            id = found + length;
            id_length = stop - id;
            at = data + position;
        }
    }
    Py_ssize_t digits = end - at < TIMESTAMP_DIGITS ? end - at : TIMESTAMP_DIGITS;
    return id == NULL ? take_state(rule, arrival, at, digits, held)
                      : take_trade(rule, arrival, at, digits, id, id_length, held);
}

/* What arrived with a stamp; -1 with an exception where that is none. */
static int
arrive(Arrival *arrival, PyObject *stamp)
{
    arrival->stamp = stamp;
    return read_stamp(stamp, &arrival->received_at, &arrival->epoch);
}

static PyObject *
lane_file(Lane *self, PyObject *const *args, Py_ssize_t nargs)
{
    Arrival arrival;
    if (nargs != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "file(bytes, stamp)");
        return NULL;
    }
    if (arrive(&arrival, args[1])) return NULL;
    arrival.payload = args[0];
    arrival.data = PyBytes_AS_STRING(args[0]);
    arrival.size = PyBytes_GET_SIZE(args[0]);
    Taken held = {NULL};
    SlotCore *slot = self->rule.slot;
    Py_XINCREF(slot);
    int result = rule_take(&self->rule, &arrival, &held);
    STREAM_END();
    PyObject *answer = NULL;
    if (result == TAKEN) answer = held.entry != NULL ? Py_NewRef(held.entry) : core_get_current(slot, NULL);
    else if (result == REFUSED) answer = Py_NewRef(Py_False);
    else if (result == NOT_AS_PREDICTED) answer = Py_NewRef(Py_None);
    Py_XDECREF(held.entry);
    Py_XDECREF(held.before);
    Py_XDECREF(held.slot);
    Py_XDECREF(slot);
    return answer;
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
    if (position < 0 || position > INT32_MAX || PyBytes_GET_SIZE(marker) > UINT16_MAX || (PyBytes_GET_SIZE(marker) == 0 && strcmp(kind, "orderbook") != 0)) {
        PyErr_SetString(PyExc_ValueError, "position and marker must be within bounds, and marker not empty");
        return -1;
    }
    if (self->rule.slot != NULL) { /* what files by this lane counts on its slot to stay */
        PyErr_SetString(PyExc_ValueError, "a lane is set once");
        return -1;
    }
    if (strcmp(kind, "ticker") == 0) self->rule.kind = TICKER;
    else if (strcmp(kind, "orderbook") == 0) self->rule.kind = ORDERBOOK;
    else if (strcmp(kind, "trade") == 0) self->rule.kind = TRADE;
    else {
        PyErr_SetString(PyExc_ValueError, "kind must be ticker, orderbook or trade");
        return -1;
    }
    self->rule.position = (uint32_t)position;
    /* In `"sequential_id":` the q stands nowhere else in a trade; of other markers any letter does. */
    const char *q = memchr(PyBytes_AS_STRING(marker), 'q', PyBytes_GET_SIZE(marker));
    self->rule.rare = q == NULL ? 0 : (uint16_t)(q - PyBytes_AS_STRING(marker));
    self->rule.slot = (SlotCore *)Py_NewRef(slot);
    self->rule.state = self->rule.slot->state;
    self->rule.marker = Py_NewRef(marker);
    self->rule.tails = Py_NewRef(tails);
    return 0;
}

static int
lane_traverse(Lane *self, visitproc visit, void *arg)
{
    Py_VISIT(self->rule.slot);
    return 0;
}

static int
lane_clear(Lane *self)
{
    self->rule.state = NULL;
    Py_CLEAR(self->rule.slot);
    return 0;
}

static void
lane_dealloc(Lane *self)
{
    PyObject_GC_UnTrack(self);
    lane_clear(self);
    Py_XDECREF(self->rule.marker);
    Py_XDECREF(self->rule.tails);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef lane_methods[] = {
    {"file", (PyCFunction)(void (*)(void))lane_file, METH_FASTCALL,
     PyDoc_STR("file(payload, stamp) -> entry, False (refused) or None (not as predicted)")},
    {NULL}
};

static PyMemberDef lane_members[] = {
    {"slot", T_OBJECT_EX, offsetof(Lane, rule.slot), READONLY, NULL},
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
