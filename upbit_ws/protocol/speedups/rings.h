/* `Ring`: the history of a slot. Part of module.c. */

/* The newest `maxlen` entries, oldest first, flat: payload and stamp of each are copied into one stretch of memory of the
 * ring's own, in places of equal size.
 *
 * With many markets a history is long out of the processor's cache when its next entry comes. What costs then is not
 * copying but waiting for memory: a block to be freed, one to be handed out, an object to be let go of. Here nothing of
 * what was there is read, and the copy is written past the cache (`copy_past_cache`), so an entry costs the same with
 * ten markets and with thousands. Entries become objects again when somebody reads them.
 */

#define WIDEST_PLACE 8192

typedef struct {
    double received_at;
    int64_t epoch;
    PyObject *apart; /* the payload as an object, where it is too large for a place */
    size_t length;
} PlaceHead;

typedef struct {
    PyObject_HEAD
    char *places;       /* where `land` starts */
    uint32_t width;     /* of a place in bytes, its head included; 0 until the first entry came */
    uint32_t next;      /* where the next entry goes; the oldest one, where it is full */
    uint32_t size, allocated, maxlen;
    uint32_t apart;     /* how many payloads are objects */
    Land land;
} Ring;

static size_t
lines_for(size_t length)
{
    return whole_lines(sizeof(PlaceHead) + length);
}

#if (defined(__x86_64__) || defined(_M_X64)) && SIZEOF_VOID_P == 8
#include <emmintrin.h>

/* Head and payload into an aligned place, whole lines and without fetching first what is overwritten.
 *
 * Everything goes from memory of the caller into registers and from there to the place: bytes that are put together on the
 * stack can only be read back when all stores before them are done, and some of those wait for memory. */
static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    __m128i *to = (__m128i *)place, *end = (__m128i *)(place + lines_for(length));
    int64_t time;
    memcpy(&time, &head->received_at, sizeof(time));
    _mm_stream_si128(to++, _mm_set_epi64x(head->epoch, time));
    _mm_stream_si128(to++, _mm_set_epi64x((int64_t)head->length, (int64_t)(intptr_t)head->apart));
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
#else

static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    memcpy(place, head, sizeof(PlaceHead));
    memcpy(place + sizeof(PlaceHead), payload, length);
}

#define STREAM_END() ((void)0)
#endif

static char *
ring_place(const Ring *self, uint32_t at)
{
    return self->places + (size_t)at * self->width;
}

/* Room for `allocated` places of this width; what is there moves into it. */
static int
ring_move(Ring *self, size_t allocated, size_t width)
{
    Land land;
    if (land_take(&land, allocated, width)) return -1;
    if (width == self->width) memcpy(land.start, self->places, (size_t)self->size * width);
    else
        for (uint32_t i = 0; i < self->size; i++) memcpy(land.start + i * width, ring_place(self, i), self->width);
    land_give_back(&self->land);
    self->land = land;
    self->places = land.start;
    self->allocated = (uint32_t)allocated;
    self->width = (uint32_t)width;
    return 0;
}

/* Room for one more entry of this size: 1 where it fits its place, 0 where its payload has to stay apart, -1 with an
 * exception. Payloads of one stream are nearly equal in size, and an outlier must not widen the places of all others. */
static int
ring_make_room(Ring *self, size_t length)
{
    size_t width = lines_for(length), allocated = self->allocated;
    int fits = width <= WIDEST_PLACE && (self->size == 0 || width <= 2 * (size_t)self->width);
    if (!fits || width < self->width) width = self->width ? self->width : LINE;
    if (self->size == self->allocated && self->size < self->maxlen) {
        allocated = allocated ? 8 * allocated : 1; /* most markets that send a second one send many */
        if (allocated > self->maxlen) allocated = self->maxlen;
    }
    if (width == self->width && allocated == self->allocated) return fits;
    return ring_move(self, allocated, width) ? -1 : fits;
}

/* Adds an entry, and the oldest one goes where it is full. `payload` is the object that `data` is of, or NULL. Runs no
 * code of others. */
static int
ring_put(Ring *self, const char *data, size_t length, PyObject *payload, double received_at, int64_t epoch)
{
    PlaceHead head = {received_at, epoch, NULL, length};
    if (sizeof(PlaceHead) + length > self->width || (self->next == self->allocated && self->size < self->maxlen)) {
        int fits = ring_make_room(self, length);
        if (fits < 0) return -1;
        if (!fits) {
            head.apart = payload != NULL && PyBytes_CheckExact(payload) ? Py_NewRef(payload)
                                                                       : PyBytes_FromStringAndSize(data, length);
            if (head.apart == NULL) return -1;
        }
    }
    char *place = ring_place(self, self->next);
    if (self->apart && self->size == self->maxlen) {
        PyObject *before = ((PlaceHead *)place)->apart;
        if (before != NULL) {
            self->apart--;
            Py_DECREF(before);
        }
    }
    if (head.apart != NULL) self->apart++;
    copy_past_cache(place, &head, data, head.apart != NULL ? 0 : length);
    if (self->size < self->maxlen) self->size++;
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
ring_entry(const Ring *self, uint32_t index)
{
    uint32_t at = self->size == self->maxlen && index >= self->maxlen - self->next ? index - (self->maxlen - self->next)
                  : self->size == self->maxlen                                     ? index + self->next
                                                                                   : index;
    PlaceHead *head = (PlaceHead *)ring_place(self, at);
    PyObject *payload = head->apart ? Py_NewRef(head->apart)
                                    : PyBytes_FromStringAndSize((const char *)(head + 1), head->length);
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
    return self->size;
}

/* The last `count` entries as a list, oldest first. Making objects may run code of others, which may add some meanwhile. */
static PyObject *
ring_last(Ring *self, uint32_t count)
{
    PyObject *entries = PyList_New(0);
    if (entries == NULL) return NULL;
    for (uint32_t i = self->size - (count < self->size ? count : self->size); i < self->size; i++) {
        PyObject *entry = ring_entry(self, i);
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
    PyObject *entries = ring_last(self, self->size);
    PyObject *iterator = entries == NULL ? NULL : PyObject_GetIter(entries);
    Py_XDECREF(entries);
    return iterator;
}

static PyObject *
ring_newest(Ring *self, PyObject *argument)
{
    Py_ssize_t count = PyLong_AsSsize_t(argument);
    if (count == -1 && PyErr_Occurred()) return NULL;
    return ring_last(self, count < 0 ? 0 : count > (Py_ssize_t)self->size ? self->size : (uint32_t)count);
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
    if (self->maxlen == 0) { /* made by `__new__` alone */
        PyErr_SetString(PyExc_ValueError, "this Ring has no maxlen yet");
        return NULL;
    }
    if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 2 || !PyBytes_CheckExact(PyTuple_GET_ITEM(entry, 0))) {
        PyErr_SetString(PyExc_TypeError, "an entry is a tuple of bytes and a stamp");
        return NULL;
    }
    if (read_stamp(PyTuple_GET_ITEM(entry, 1), &received_at, &epoch)) return NULL;
    PyObject *payload = PyTuple_GET_ITEM(entry, 0);
    if (ring_put(self, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), payload, received_at, epoch)) return NULL;
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
    if (maxlen < 1 || maxlen > INT32_MAX || self->maxlen != 0) {
        PyErr_SetString(PyExc_ValueError, "maxlen must be at least 1 and within bounds, and is set once");
        return -1;
    }
    self->maxlen = (uint32_t)maxlen;
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

static void
ring_dealloc(Ring *self)
{
    for (uint32_t i = 0; self->apart && i < self->size; i++) Py_XDECREF(((PlaceHead *)ring_place(self, i))->apart);
    land_give_back(&self->land);
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
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)ring_init,
    .tp_dealloc = (destructor)ring_dealloc,
    .tp_iter = (getiterfunc)ring_iter,
    .tp_methods = ring_methods,
    .tp_as_sequence = &ring_as_sequence,
};
