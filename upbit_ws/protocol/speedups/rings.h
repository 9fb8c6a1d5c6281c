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

struct RingState {
    Position *positions; /* in the journal; `allocated` of them */
    uint32_t next;       /* where the next entry goes; the oldest one, where it is full */
    uint32_t size, allocated, maxlen;
    uint32_t apart;      /* how many payloads are objects */
    uint32_t number;     /* in the journal; 0 until the first entry came */
    int stream;          /* of the journal, for the next entry */
};

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

/* Head and payload go into an aligned place, whole lines and without fetching first what is overwritten.
 *
 * Everything goes from memory of the caller into registers and from there to the place: bytes that are put together on the
 * stack can only be read back when all stores before them are done, and some of those wait for memory. */
#if (defined(__x86_64__) || defined(_M_X64)) && SIZEOF_VOID_P == 8
#include <immintrin.h>

static void
copy_in_quarters(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    __m128i *to = (__m128i *)place, *end = (__m128i *)(place + (size_t)lines_for(length) * LINE);
    int64_t time;
    memcpy(&time, &head->received_at, sizeof(time));
    _mm_stream_si128(to++, _mm_set_epi64x(head->epoch, time));
    _mm_stream_si128(to++, _mm_set_epi32((int)head->index, (int)head->ring, (int)head->is_apart, (int)head->length));
    const char *stop = payload + length;
    for (; stop - payload >= 64; payload += 64, to += 4) {
        const __m128i *from = (const __m128i *)payload;
        __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
        __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
        _mm_stream_si128(to, a);
        _mm_stream_si128(to + 1, b);
        _mm_stream_si128(to + 2, c);
        _mm_stream_si128(to + 3, d);
    }
    for (; stop - payload >= 16; payload += 16) _mm_stream_si128(to++, _mm_loadu_si128((const __m128i *)payload));
    if (stop > payload) {
        uint64_t low = 0, high = 0;
        if (length >= 16) { /* the last 16 bytes, less those that are there already */
            unsigned shift = 8 * (unsigned)(16 - (stop - payload));
            memcpy(&low, stop - 16, 8);
            memcpy(&high, stop - 8, 8);
            low = shift >= 64 ? high >> (shift - 64) : low >> shift | high << (64 - shift);
            high = shift >= 64 ? 0 : high >> shift;
        }
        else
            for (int i = 0; payload + i < stop; i++) {
                uint64_t byte = (unsigned char)payload[i];
                if (i < 8) low |= byte << (8 * i);
                else high |= byte << (8 * (i - 8));
            }
        _mm_stream_si128(to++, _mm_set_epi64x((int64_t)high, (int64_t)low));
    }
    /* A line that is written in part only has to be fetched after all. */
    while (to < end) _mm_stream_si128(to++, _mm_setzero_si128());
}

#define STREAM_END() _mm_sfence()

#if defined(__GNUC__)
/* A line at once: one that is written in quarters occupies one of the few places for lines on their way for longer, and with
 * many markets these are what everything waits for. */
__attribute__((target("avx512f,avx512bw"))) static void
copy_in_lines(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    int64_t time;
    memcpy(&time, &head->received_at, sizeof(time));
    const __m128i when = _mm_set_epi64x(head->epoch, time);
    const __m128i what = _mm_set_epi32((int)head->index, (int)head->ring, (int)head->is_apart, (int)head->length);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(when), what, 1);
    const __mmask64 all = ~(__mmask64)0;
    const size_t beside = LINE - sizeof(PlaceHead), first = length < beside ? length : beside;
    const __m512i start = _mm512_maskz_loadu_epi8(~(all << first), payload);
    _mm512_stream_si512((__m512i *)place, _mm512_inserti64x4(_mm512_castsi256_si512(both), _mm512_castsi512_si256(start), 1));
    size_t at = first;
    for (; length - at >= LINE; at += LINE) {
        place += LINE;
        _mm512_stream_si512((__m512i *)place, _mm512_loadu_si512(payload + at));
    }
    if (at == length) return;
    _mm512_stream_si512((__m512i *)(place + LINE), _mm512_maskz_loadu_epi8(~(all << (length - at)), payload + at));
}

static int can_copy_in_lines, copies_in_lines;

/* For tests: copies so, or not so, where the processor can; whether it does now. */
static PyObject *
speedups_copy_in_lines(PyObject *module, PyObject *argument)
{
    int wanted = PyObject_IsTrue(argument);
    if (wanted < 0) return NULL;
    copies_in_lines = wanted && can_copy_in_lines;
    return PyBool_FromLong(copies_in_lines);
}

static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    (copies_in_lines ? copy_in_lines : copy_in_quarters)(place, head, payload, length);
}
#define HAS_COPY_IN_LINES
#else
#define copy_past_cache copy_in_quarters
#endif
#else

static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    memcpy(place, head, sizeof(PlaceHead));
    memcpy(place + sizeof(PlaceHead), payload, length);
}

#define STREAM_END() ((void)0)
#endif

/* For the journal: whether an entry is in use that was written to this place. The history may be gone, and another one have
 * its number: but then its entries stand elsewhere. */
static int
ring_has(const RingState *self, uint32_t index, uint32_t place)
{
    return self != NULL && index < self->size && self->positions[index].place == place;
}

/* For the journal: an entry stands elsewhere now. */
static void
ring_moves(RingState *self, uint32_t index, uint32_t place)
{
    self->positions[index].place = place;
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
