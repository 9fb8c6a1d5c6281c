/* The inner loops of the SDK: frames out of a read, and payloads into their slots.
 *
 * Everything here also exists in Python, in frames.py, slots.py and lanes.py, which say what it does and why; the tests
 * hold both to the same results. This file has the common cases only. Whatever is not common (another opcode, a payload
 * that is not as predicted, an id that does not grow, a new epoch) is handed back to the Python code.
 *
 * All of it runs with the interpreter's lock held and touches no file, socket or clock, except `Inlet`, which is
 * wire/transport.py's.
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
#define SPEEDUPS_VERSION 4

#define LINE 64 /* bytes that the processor fetches at once */
#define START_LENGTH 43
#define HEAD_SCAN_FROM 29
#define TIMESTAMP_DIGITS 13

static PyObject *str_take, *str_take_identified, *str_file;

/* -- frames ------------------------------------------------------------------------------------------------------- */

/* Where it stopped; -1 with an exception. */
static Py_ssize_t
split_common(const char *data, Py_ssize_t size, Py_ssize_t position, PyObject *messages)
{
    while (size - position >= 4) {
        const unsigned char *head = (const unsigned char *)data + position;
        if (head[0] != 0x82 || head[1] != 0x7E) break;
        Py_ssize_t length = ((Py_ssize_t)head[2] << 8) | head[3];
        if (length < 126 || length > size - position - 4) break;
        PyObject *payload = PyBytes_FromStringAndSize((const char *)head + 4, length);
        if (payload == NULL) return -1;
        int failed = PyList_Append(messages, payload);
        Py_DECREF(payload);
        if (failed) return -1;
        position += 4 + length;
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

/* -- memory ------------------------------------------------------------------------------------------------------- */

/* With many markets each message writes to pages that were last used thousands of messages ago, and finding out where a
 * page of 4 KiB lies then costs more than writing to it. So once more than LAND_FROM bytes are in use, blocks come from
 * *fields* of 2 MiB, for which the system is asked for one large page each. A field has blocks of one size, and goes back
 * to the system when none of them is in use. */

#if defined(__linux__)
#include <sys/mman.h>

#define FIELD ((size_t)2 << 20)
#define LAND_FROM ((size_t)16 << 20)
#define SMALLEST_ON_FIELD 4096
#define LARGEST_ON_FIELD (FIELD / 4)
#define TRACE_DOMAIN 0x75706274 /* for tracemalloc, which sees only the allocators of Python by itself */

typedef struct Field {
    struct Field *next, *before; /* among those with room */
    void *freed;                 /* blocks that were in use, linked by their first bytes */
    size_t size, live, untouched; /* bytes of a block; blocks in use; where the part begins that was never in use */
} Field;

static Field *fields_with_room;
static size_t land_in_use;

static size_t
size_on_field(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

static void
field_unlink(Field *field)
{
    if (field->before != NULL) field->before->next = field->next;
    else if (fields_with_room == field) fields_with_room = field->next;
    if (field->next != NULL) field->next->before = field->before;
    field->next = field->before = NULL;
}

static void
field_link(Field *field)
{
    field->next = fields_with_room;
    if (field->next != NULL) field->next->before = field;
    fields_with_room = field;
}

static int
field_has_room(const Field *field)
{
    return field->freed != NULL || field->untouched + field->size <= FIELD;
}

static Field *
field_new(size_t size)
{
    char *mapped = mmap(NULL, 2 * FIELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    char *at = (char *)(((uintptr_t)mapped + FIELD - 1) & ~(uintptr_t)(FIELD - 1));
    if (at > mapped) munmap(mapped, at - mapped);
    munmap(at + FIELD, mapped + FIELD - at);
#ifdef MADV_HUGEPAGE
    madvise(at, FIELD, MADV_HUGEPAGE); /* where there are none, small ones do */
#endif
    Field *field = (Field *)at;
    memset(field, 0, sizeof(Field));
    field->size = size;
    field->untouched = (sizeof(Field) + LINE - 1) / LINE * LINE;
    field_link(field);
    return field;
}

static void *
field_take(size_t size)
{
    Field *field = fields_with_room;
    while (field != NULL && field->size != size) field = field->next;
    if (field == NULL && (field = field_new(size)) == NULL) return NULL;
    void *block = field->freed;
    if (block != NULL) memcpy(&field->freed, block, sizeof(void *));
    else {
        block = (char *)field + field->untouched;
        field->untouched += size;
    }
    field->live++;
    if (!field_has_room(field)) field_unlink(field);
    return block;
}

static void
field_give_back(void *block)
{
    Field *field = (Field *)((uintptr_t)block & ~(uintptr_t)(FIELD - 1));
    int had_room = field_has_room(field);
    memcpy(block, &field->freed, sizeof(void *));
    field->freed = block;
    if (!had_room) field_link(field);
    if (--field->live == 0) {
        field_unlink(field);
        munmap(field, FIELD);
    }
}
#endif

typedef struct {
    char *start;  /* begins with a line */
    void *block;
    size_t size;
    char is_on_field;
} Land;

/* So much memory that begins with a line; -1 with an exception. */
static int
land_take(Land *land, size_t count, size_t each)
{
    land->block = NULL;
    land->is_on_field = 0;
    if (count <= (PY_SSIZE_T_MAX - LINE) / each) {
        land->size = count * each + LINE - 1;
#if defined(__linux__)
        size_t size = size_on_field(count * each);
        if (land_in_use > LAND_FROM && size >= SMALLEST_ON_FIELD && size <= LARGEST_ON_FIELD
            && (land->block = field_take(size)) != NULL) {
            land->is_on_field = 1;
            land->size = size;
            PyTraceMalloc_Track(TRACE_DOMAIN, (uintptr_t)land->block, size);
        }
#endif
        if (land->block == NULL) land->block = PyMem_Malloc(land->size);
    }
    if (land->block == NULL) {
        PyErr_NoMemory();
        return -1;
    }
#if defined(__linux__)
    land_in_use += land->size;
#endif
    land->start = (char *)(((uintptr_t)land->block + LINE - 1) & ~(uintptr_t)(LINE - 1));
    return 0;
}

static void
land_give_back(Land *land)
{
    if (land->block == NULL) return;
#if defined(__linux__)
    land_in_use -= land->size;
    if (land->is_on_field) {
        PyTraceMalloc_Untrack(TRACE_DOMAIN, (uintptr_t)land->block);
        field_give_back(land->block);
    }
    else
#endif
        PyMem_Free(land->block);
    land->block = NULL;
    land->start = NULL;
}

/* -- histories ---------------------------------------------------------------------------------------------------- */

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
    return (sizeof(PlaceHead) + length + LINE - 1) / LINE * LINE;
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

/* Over the entries that are there now. Making objects may run code of others, which may add some meanwhile. */
static PyObject *
ring_iter(Ring *self)
{
    PyObject *entries = PyList_New(0);
    if (entries == NULL) return NULL;
    for (uint32_t i = 0; i < self->size; i++) {
        PyObject *entry = ring_entry(self, i);
        int failed = entry == NULL || PyList_Append(entries, entry);
        Py_XDECREF(entry);
        if (failed) {
            Py_DECREF(entries);
            return NULL;
        }
    }
    PyObject *iterator = PyObject_GetIter(entries);
    Py_DECREF(entries);
    return iterator;
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

/* -- ids ---------------------------------------------------------------------------------------------------------- */

/* The last `size` ids. Nearly always the next one is larger than all before it, so looking for it can be slow. */
typedef struct {
    PyObject_HEAD
    int64_t *ids;  /* where `land` starts */
    int64_t largest;
    Py_ssize_t next, count, size, allocated;
    /* Sets of ids, as bytes, that are remembered beside them, or NULL. After `size` ids in line the younger one takes
     * the place of the older one, so each is remembered until at least that many others came. */
    PyObject *beside, *beside_older;
    Py_ssize_t since;  /* how many came in line since it last did */
    Land land;
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

/* Room for `allocated` ids; the newest `kept` move into it, oldest first. */
static int
window_move(IdWindow *self, Py_ssize_t kept, Py_ssize_t allocated)
{
    Land land;
    if (land_take(&land, allocated, sizeof(int64_t))) return -1;
    int64_t *ids = (int64_t *)land.start;
    for (Py_ssize_t i = 0; i < kept; i++) {
        Py_ssize_t at = self->next - kept + i;
        ids[i] = self->ids[at < 0 ? at + self->count : at];
    }
    land_give_back(&self->land);
    self->land = land;
    self->ids = ids;
    self->allocated = allocated;
    return 0;
}

static int
window_push(IdWindow *self, int64_t id)
{
    if (self->count < self->size && self->count == self->allocated) {
        Py_ssize_t wanted = self->allocated < 16 ? 16 : self->allocated * 2;
        if (wanted > self->size) wanted = self->size;
        if (window_move(self, self->count, wanted)) return -1;
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
    if (self->beside == NULL) {
        PyObject *made = PySet_New(NULL);
        if (made == NULL) return -1;
        if (self->beside == NULL) self->beside = made;
        else Py_DECREF(made); /* the collector ran code of others, which needed it too */
    }
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
    if (window_move(self, kept, kept ? kept : 1)) return NULL;
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
    land_give_back(&self->land);
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
    PyObject *current;  /* (payload, stamp) or None; NULL where nobody has asked yet for the newest one, see `is_newest` */
    PyObject *history;  /* Ring */
    PyObject *ids;      /* IdWindow, or None where payloads have no ids */
    Py_ssize_t revision;
    Py_ssize_t epoch;
    char is_attended;
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

static PyMemberDef core_members[] = {
    {"ids", T_OBJECT_EX, offsetof(SlotCore, ids), 0, NULL},
    {"revision", T_PYSSIZET, offsetof(SlotCore, revision), 0, NULL},
    {"epoch", T_PYSSIZET, offsetof(SlotCore, epoch), 0, NULL},
    {"is_attended", T_BOOL, offsetof(SlotCore, is_attended), 0, NULL},
    {NULL}
};

static PyGetSetDef core_getset[] = {
    {"current", (getter)core_get_current, (setter)core_set_current, NULL, NULL},
    {"history", (getter)core_get_history, (setter)core_set_history, NULL, NULL},
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

/* -- reading ------------------------------------------------------------------------------------------------------ */

#ifndef MS_WINDOWS

#define LARGEST_COMMON (4 + 65535)
/* What an inlet is busy with. */
enum { READING = 1, FILING = 2 };

/* What comes in on a socket, and at the same time the sequence of the messages that the last read completed.
 *
 * Reads go into a buffer of its own, where the beginning of a frame that is cut stays until the rest of it is there.
 * Messages stay there too until the next read, so that what is only filed never becomes an object. */
typedef struct {
    PyObject_HEAD
    char *buffer;
    Py_ssize_t size;         /* of one read */
    Py_ssize_t held, held_at; /* bytes of a frame that is cut, and where they are */
    uint32_t *starts;        /* of the messages; the place before each has its length */
    Py_ssize_t count, allocated;
    int fd, wake_fd, pause;  /* milliseconds */
    char is_splitting;       /* the next byte begins a frame, and common frames need no look by others */
    char is_busy;
    Py_ssize_t reads;
    long long bytes_received;
} Inlet;

/* Seconds as milliseconds for `poll`, rounded up; NaN and what is negative as none. */
static int
milliseconds_of(double seconds)
{
    double milliseconds = ceil(seconds * 1000.0);
    return !(milliseconds > 0.0) ? 0 : milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

/* Whether what is left is nothing but the beginning of a common frame. */
static int
may_be_common(const unsigned char *rest, Py_ssize_t size)
{
    if (rest[0] != 0x82 || (size > 1 && rest[1] != 0x7E)) return 0;
    return size < 4 || (rest[2] << 8 | rest[3]) >= 126;
}

/* Notes the common frames from the start of the buffer on. Where it stopped; -1 with an exception. */
static Py_ssize_t
inlet_split(Inlet *self, Py_ssize_t size)
{
    const unsigned char *data = (const unsigned char *)self->buffer;
    Py_ssize_t position = 0;
    for (;;) {
        if (size - position < 4 || data[position] != 0x82 || data[position + 1] != 0x7E) break;
        Py_ssize_t length = ((Py_ssize_t)data[position + 2] << 8) | data[position + 3];
        if (length < 126 || length > size - position - 4) break;
        if (self->count == self->allocated) {
            Py_ssize_t wanted = self->allocated ? 2 * self->allocated : 256;
            uint32_t *starts = PyMem_Realloc(self->starts, wanted * sizeof(uint32_t));
            if (starts == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            self->starts = starts;
            self->allocated = wanted;
        }
        self->starts[self->count++] = (uint32_t)(position + 4);
        position += 4 + length;
    }
    return position;
}

/* One of the messages. */
static const char *
inlet_message(const Inlet *self, Py_ssize_t index, Py_ssize_t *size)
{
    const unsigned char *data = (const unsigned char *)self->buffer + self->starts[index];
    *size = ((Py_ssize_t)data[-2] << 8) | data[-1];
    return (const char *)data;
}

static Py_ssize_t
inlet_length(Inlet *self)
{
    return self->count;
}

static PyObject *
inlet_item(Inlet *self, Py_ssize_t index)
{
    if (index < 0 || index >= self->count || self->is_busy == READING) {
        PyErr_SetString(PyExc_IndexError, "no such message");
        return NULL;
    }
    Py_ssize_t size;
    const char *data = inlet_message(self, index, &size);
    return PyBytes_FromStringAndSize(data, size);
}

/* Room for the next read, behind what is held of a frame. The messages of the last one are gone. */
static char *
inlet_begin(Inlet *self)
{
    if (self->held && self->held_at) memmove(self->buffer, self->buffer + self->held_at, self->held);
    self->held_at = self->count = 0;
    self->is_busy = READING;
    Py_INCREF(self);
    return self->buffer + self->held;
}

/* What is in the buffer now, see `inlet_read`. */
static PyObject *
inlet_take(Inlet *self, Py_ssize_t got)
{
    Py_ssize_t size = self->held + got;
    self->reads++;
    self->bytes_received += got;
    self->held = 0;
    if (!self->is_splitting || got == 0) return PyBytes_FromStringAndSize(self->buffer, size);
    Py_ssize_t position = inlet_split(self, size);
    if (position < 0) return NULL;
    if (position == size) return Py_NewRef((PyObject *)self);
    if (may_be_common((unsigned char *)self->buffer + position, size - position)) {
        self->held = size - position;
        self->held_at = position;
        return Py_NewRef((PyObject *)self);
    }
    PyObject *rest = PyBytes_FromStringAndSize(self->buffer + position, size - position);
    PyObject *both = rest == NULL ? NULL : PyTuple_Pack(2, self, rest);
    Py_XDECREF(rest);
    return both;
}

static int
inlet_check(const Inlet *self)
{
    if (self->buffer != NULL && !self->is_busy) return 0;
    PyErr_SetString(PyExc_ValueError, "this Inlet is not ready, or in use");
    return -1;
}

PyDoc_STRVAR(inlet_read_doc,
"read(timeout, is_flowing) -> self, bytes, tuple or int\n\n"
"Wait at most `timeout` seconds (None: without end) for the socket or the wake-up. Where only the socket is ready, one\n"
"read. With `is_splitting`: itself, the sequence of the messages that it completed; where frames follow that are not\n"
"common, a tuple of itself and of the bytes from there on. Else, and at the end of the stream (empty, or what was cut):\n"
"the bytes. Messages are there until the next read.\n"
"Where nothing was read a sum: 1 where the socket is ready, 2 where the wake-up is.\n"
"Bytes have `pause` seconds to gather before they are read; with `is_flowing` that begins at once.\n\n"
"Waiting and reading let go of the interpreter once instead of twice. Beside a thread that never waits, each time costs\n"
"a switch interval.");

static PyObject *
inlet_read(Inlet *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "read(timeout, is_flowing)");
        return NULL;
    }
    int timeout = args[0] == Py_None ? -1 : milliseconds_of(PyFloat_AsDouble(args[0]));
    int is_flowing = PyObject_IsTrue(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (inlet_check(self)) return NULL;
    struct pollfd waiting[2] = {{self->fd, POLLIN, 0}, {self->wake_fd, POLLIN, 0}}; /* a negative one is left out */
    Py_ssize_t got = -1;
    int ready = 0, problem;
    char *room = inlet_begin(self);
    Py_BEGIN_ALLOW_THREADS
    if (!is_flowing) ready = poll(waiting, 2, timeout);
    if (is_flowing || (ready > 0 && self->pause && !waiting[1].revents)) {
        int woken = poll(waiting + 1, 1, self->pause);
        ready = woken < 0 ? woken : 1;
    }
    if (ready > 0 && (waiting[0].revents || is_flowing) && !waiting[1].revents)
        got = recv(self->fd, room, self->size, MSG_DONTWAIT); /* flowing: something is there, probably */
    problem = errno;
    Py_END_ALLOW_THREADS
    self->is_busy = 0;
    PyObject *found = NULL;
    if (got >= 0) found = inlet_take(self, got);
    else if (ready > 0 && waiting[1].revents) found = PyLong_FromLong(2 + (waiting[0].revents != 0));
    else if (ready == 0 || problem == EINTR || (ready > 0 && (problem == EAGAIN || problem == EWOULDBLOCK)))
        found = PyLong_FromLong(0);
    else {
        errno = problem;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_DECREF(self);
    return found;
}

/* One read of what is there; BlockingIOError where nothing is. */
static PyObject *
inlet_read_now(Inlet *self, PyObject *nothing)
{
    if (inlet_check(self)) return NULL;
    Py_ssize_t got;
    char *room = inlet_begin(self);
    Py_BEGIN_ALLOW_THREADS
    got = recv(self->fd, room, self->size, MSG_DONTWAIT);
    Py_END_ALLOW_THREADS
    self->is_busy = 0;
    PyObject *found = got >= 0 ? inlet_take(self, got) : PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return found;
}

static int
inlet_init(Inlet *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"fd", "wake_fd", "size", "pause", NULL};
    int fd, wake_fd;
    Py_ssize_t size;
    double pause;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iind", names, &fd, &wake_fd, &size, &pause)) return -1;
    if (fd < 0 || size < 1 || size > INT32_MAX - LARGEST_COMMON || self->buffer != NULL) {
        PyErr_SetString(PyExc_ValueError, "the descriptor and the size must be within bounds, and are given once");
        return -1;
    }
    self->buffer = PyMem_Malloc(size + LARGEST_COMMON);
    if (self->buffer == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->fd = fd;
    self->wake_fd = wake_fd;
    self->size = size;
    self->pause = milliseconds_of(pause);
    return 0;
}

static void
inlet_dealloc(Inlet *self)
{
    PyMem_Free(self->buffer);
    PyMem_Free(self->starts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef inlet_methods[] = {
    {"read", (PyCFunction)(void (*)(void))inlet_read, METH_FASTCALL, inlet_read_doc},
    {"read_now", (PyCFunction)inlet_read_now, METH_NOARGS,
     PyDoc_STR("The same without waiting; BlockingIOError where nothing is there.")},
    {NULL}
};

static PyMemberDef inlet_members[] = {
    {"is_splitting", T_BOOL, offsetof(Inlet, is_splitting), 0, NULL},
    {"wake_fd", T_INT, offsetof(Inlet, wake_fd), 0, NULL},
    {"held", T_PYSSIZET, offsetof(Inlet, held), READONLY, NULL},
    {"reads", T_PYSSIZET, offsetof(Inlet, reads), READONLY, NULL},
    {"bytes_received", T_LONGLONG, offsetof(Inlet, bytes_received), READONLY, NULL},
    {NULL}
};

static PySequenceMethods inlet_as_sequence = {
    .sq_length = (lenfunc)inlet_length,
    .sq_item = (ssizeargfunc)inlet_item,
};

static PyTypeObject InletType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.Inlet",
    .tp_doc = PyDoc_STR("Inlet(fd, wake_fd, size, pause): waits for a socket, reads it and splits its frames."),
    .tp_basicsize = sizeof(Inlet),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)inlet_init,
    .tp_dealloc = (destructor)inlet_dealloc,
    .tp_methods = inlet_methods,
    .tp_members = inlet_members,
    .tp_as_sequence = &inlet_as_sequence,
};

#endif

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
    Py_ssize_t rare;   /* where in the marker the byte stands that is looked for first */
    int kind;
} Lane;

/* One payload and when it came. `payload` is NULL while nobody needs the object. */
typedef struct {
    const char *data;
    Py_ssize_t size;
    PyObject *payload, *stamp;
    double received_at;
    Py_ssize_t epoch;
} Arrival;

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
    if (slot && (slot->current || slot->is_newest) && slot->history && Py_IS_TYPE(slot->history, &RingType)
        && ((Ring *)slot->history)->maxlen && slot->ids
        && (slot->ids == Py_None || (Py_IS_TYPE(slot->ids, &IdWindowType) && ((IdWindow *)slot->ids)->size)))
        return 0;
    PyErr_SetString(PyExc_TypeError, "a slot's fields are not what they should be");
    return -1;
}

/* The usual case: what arrived becomes the newest entry. What is let go of may run code, so that comes last. */
static int
advance(SlotCore *slot, const Arrival *arrival, const char *at, Py_ssize_t digits)
{
    if (ring_put((Ring *)slot->history, arrival->data, arrival->size, arrival->payload, arrival->received_at,
                 arrival->epoch))
        return FAILED;
    memcpy(slot->timestamp, at, digits);
    slot->digits = (unsigned char)digits;
    slot->revision++;
    slot->is_newest = 1;
    PyObject *before = slot->current;
    if (before != NULL) {
        slot->current = NULL;
        Py_DECREF(before);
    }
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
         PyObject **entry)
{
    PyObject *timestamp = PyBytes_FromStringAndSize(at, digits);
    *entry = payload_of(arrival) == NULL ? NULL : new_entry(arrival->payload, arrival->stamp);
    int taken = -1;
    if (timestamp != NULL && *entry != NULL) {
        PyObject *args[4] = {(PyObject *)slot, *entry, timestamp, identity};
        size_t count = identity == NULL ? 3 : 4;
        PyObject *answer = PyObject_VectorcallMethod(name, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        taken = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
    }
    Py_XDECREF(timestamp);
    if (taken <= 0) Py_CLEAR(*entry);
    return taken < 0 ? FAILED : taken ? TAKEN : REFUSED;
}

static int
take_state(SlotCore *slot, Arrival *arrival, const char *at, Py_ssize_t digits, PyObject **entry)
{
    if (is_before(at, digits, slot)) return ask_slot(str_take, slot, arrival, at, digits, NULL, entry);
    return advance(slot, arrival, at, digits);
}

static int
take_trade(SlotCore *slot, Arrival *arrival, const char *at, Py_ssize_t digits, const char *id,
           Py_ssize_t id_length, PyObject **entry)
{
    if (arrival->epoch == slot->epoch && slot->ids != Py_None && !is_before(at, digits, slot)) {
        IdWindow *ids = (IdWindow *)slot->ids;
        int64_t number = parse_id(id, id_length);
        if (number > ids->largest) {
            if (window_push(ids, number)) return FAILED;
            ids->largest = number;
            return advance(slot, arrival, at, digits);
        }
    }
    PyObject *identity = PyBytes_FromStringAndSize(id, id_length);
    if (identity == NULL) return FAILED;
    int result = ask_slot(str_take_identified, slot, arrival, at, digits, identity, entry);
    Py_DECREF(identity);
    return result;
}

/* Files one payload. Where Python code took it, `*entry` is the object that it was given. */
static int
lane_take(const Lane *lane, Arrival *arrival, PyObject **entry)
{
    const char *data = arrival->data, *end = data + arrival->size, *at, *id = NULL;
    Py_ssize_t position = lane->position < arrival->size ? lane->position : arrival->size;
    Py_ssize_t id_length = 0;
    SlotCore *slot = lane->slot;
    if (check_slot(slot)) return FAILED;
    if (lane->kind == ORDERBOOK) {
        int is_ours = 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(lane->tails) && !is_ours; i++) {
            PyObject *tail = PyTuple_GET_ITEM(lane->tails, i);
            Py_ssize_t length = PyBytes_GET_SIZE(tail);
            is_ours = length <= arrival->size && memcmp(end - length, PyBytes_AS_STRING(tail), length) == 0;
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
    return id == NULL ? take_state(slot, arrival, at, digits, entry)
                      : take_trade(slot, arrival, at, digits, id, id_length, entry);
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
    PyObject *entry = NULL;
    int result = lane_take(self, &arrival, &entry);
    STREAM_END();
    switch (result) {
    case TAKEN: return entry != NULL ? entry : core_get_current(self->slot, NULL);
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

/* -- lanes by the first bytes of a payload -------------------------------------------------------------------------- */

/* A dict of bytes of START_LENGTH to lanes, with open addressing and the keys inside: one look-up reads one line of memory,
 * and which one is known before, so that it can be fetched ahead. It is kept at most half full. */
typedef struct {
    PyObject *lane;  /* NULL: free */
    char is_gone;    /* was in use: the search goes on behind it */
    char start[START_LENGTH];
    char unused[LINE - sizeof(PyObject *) - 1 - START_LENGTH];
} Berth;

typedef struct {
    PyObject_HEAD
    Berth *berths;  /* where `land` starts */
    size_t count;   /* a power of two, or 0 */
    size_t used, taken;  /* lanes; berths that are not free */
    Land land;
} StartTable;

static uint64_t
word_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Keys come from the wanted set and not from the exchange, so nobody can choose them to collide. */
static size_t
hash_start(const char *start)
{
    const uint64_t odd = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t one = word_at(start) * odd, two = word_at(start + 8) * UINT64_C(0xC2B2AE3D27D4EB4F);
    one = ((one ^ (one >> 29)) + word_at(start + 16)) * odd;
    two = ((two ^ (two >> 31)) + word_at(start + 24)) * odd;
    one = ((one ^ (one >> 32)) + word_at(start + 32)) * odd;
    two = ((two ^ (two >> 30)) + word_at(start + START_LENGTH - 8)) * odd;
    one = (one ^ (two >> 27) ^ (two << 17)) * odd;
    return (size_t)(one ^ (one >> 32));
}

/* The berth of a start, or the free one where it would go. There is always one. */
static Berth *
find_berth(const StartTable *self, const char *start, size_t hash)
{
    for (size_t at = hash & (self->count - 1);; at = (at + 1) & (self->count - 1)) {
        Berth *berth = &self->berths[at];
        if (berth->lane == NULL ? !berth->is_gone : memcmp(berth->start, start, START_LENGTH) == 0) return berth;
    }
}

static int
starts_grow(StartTable *self)
{
    size_t count = 64;
    while (count < self->used * 4) count *= 2;
    StartTable old = *self;
    if (land_take(&self->land, count, sizeof(Berth))) {
        self->land = old.land;
        return -1;
    }
    memset(self->land.start, 0, count * sizeof(Berth));
    self->berths = (Berth *)self->land.start;
    self->count = count;
    self->taken = self->used;
    for (size_t i = 0; i < old.count; i++)
        if (old.berths[i].lane != NULL) *find_berth(self, old.berths[i].start, hash_start(old.berths[i].start)) = old.berths[i];
    land_give_back(&old.land);
    return 0;
}

static int
check_start(PyObject *start)
{
    if (PyBytes_Check(start) && PyBytes_GET_SIZE(start) == START_LENGTH) return 0;
    PyErr_Format(PyExc_ValueError, "a start is %d bytes", START_LENGTH);
    return -1;
}

/* The lane of a start, borrowed, or NULL without an exception. */
static PyObject *
starts_find(const StartTable *self, const char *start)
{
    return self->count ? find_berth(self, start, hash_start(start))->lane : NULL;
}

static PyObject *
starts_get(StartTable *self, PyObject *start)
{
    if (!PyBytes_Check(start)) {
        PyErr_SetString(PyExc_TypeError, "a start is bytes");
        return NULL;
    }
    PyObject *lane = PyBytes_GET_SIZE(start) == START_LENGTH ? starts_find(self, PyBytes_AS_STRING(start)) : NULL;
    return Py_NewRef(lane != NULL ? lane : Py_None);
}

static int
starts_set(StartTable *self, PyObject *start, PyObject *lane)
{
    if (check_start(start)) return -1;
    const char *key = PyBytes_AS_STRING(start);
    PyObject *before = NULL;
    if (lane == NULL) {
        Berth *berth = self->count ? find_berth(self, key, hash_start(key)) : NULL;
        if (berth == NULL || berth->lane == NULL) {
            PyErr_SetObject(PyExc_KeyError, start);
            return -1;
        }
        before = berth->lane;
        berth->lane = NULL;
        berth->is_gone = 1;
        self->used--;
    }
    else {
        if (2 * (self->taken + 1) > self->count && starts_grow(self)) return -1;
        Berth *berth = find_berth(self, key, hash_start(key));
        before = berth->lane;
        if (before == NULL) {
            memcpy(berth->start, key, START_LENGTH);
            self->used++;
            self->taken++;
        }
        berth->lane = Py_NewRef(lane);
    }
    Py_XDECREF(before);
    return 0;
}

static PyObject *
starts_pop(StartTable *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "pop(start, default)");
        return NULL;
    }
    PyObject *lane = starts_get(self, args[0]);
    if (lane == NULL || lane != Py_None) {
        if (lane != NULL && starts_set(self, args[0], NULL)) Py_CLEAR(lane);
        return lane;
    }
    Py_DECREF(lane);
    return Py_NewRef(args[1]);
}

static Py_ssize_t
starts_length(StartTable *self)
{
    return (Py_ssize_t)self->used;
}

static int
starts_traverse(StartTable *self, visitproc visit, void *arg)
{
    for (size_t i = 0; i < self->count; i++) Py_VISIT(self->berths[i].lane);
    return 0;
}

static int
starts_clear(StartTable *self)
{
    Berth *berths = self->berths;
    Land land = self->land;
    size_t count = self->count;
    self->berths = NULL;
    self->land.block = NULL;
    self->count = self->used = self->taken = 0;
    for (size_t i = 0; i < count; i++) Py_XDECREF(berths[i].lane);
    land_give_back(&land);
    return 0;
}

static PyObject *
starts_clear_method(StartTable *self, PyObject *nothing)
{
    starts_clear(self);
    Py_RETURN_NONE;
}

static void
starts_dealloc(StartTable *self)
{
    PyObject_GC_UnTrack(self);
    starts_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef starts_methods[] = {
    {"get", (PyCFunction)starts_get, METH_O, PyDoc_STR("The lane of a start, or None.")},
    {"pop", (PyCFunction)(void (*)(void))starts_pop, METH_FASTCALL, PyDoc_STR("Take a lane out; the default where it is not there.")},
    {"clear", (PyCFunction)starts_clear_method, METH_NOARGS, PyDoc_STR("Take all lanes out.")},
    {NULL}
};

static PyMappingMethods starts_as_mapping = {
    .mp_length = (lenfunc)starts_length,
    .mp_ass_subscript = (objobjargproc)starts_set,
};

static PyTypeObject StartTableType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.StartTable",
    .tp_doc = PyDoc_STR("StartTable(): lanes by the first bytes of a payload."),
    .tp_basicsize = sizeof(StartTable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)starts_dealloc,
    .tp_traverse = (traverseproc)starts_traverse,
    .tp_clear = (inquiry)starts_clear,
    .tp_methods = starts_methods,
    .tp_as_mapping = &starts_as_mapping,
};

/* -- batches ------------------------------------------------------------------------------------------------------ */

/* The lane of a payload by its whole head, borrowed; NULL without an exception where there is none. */
static PyObject *
lane_of_head(const char *data, Py_ssize_t size, PyObject *by_head)
{
    const char *at = size > HEAD_SCAN_FROM ? find_first(data + HEAD_SCAN_FROM, data + size, "\":", 2, 1) : NULL;
    Py_ssize_t length = at == NULL ? (size < 1 ? size : 1) : at - data + 2;
    PyObject *key = PyBytes_FromStringAndSize(data, length);
    if (key == NULL) return NULL;
    PyObject *lane = PyDict_GetItemWithError(by_head, key);
    Py_DECREF(key);
    return lane;
}

/* The same for a lane that Python made. */
static int
other_lane_take(PyObject *lane, Arrival *arrival, PyObject **entry)
{
    if (payload_of(arrival) == NULL) return FAILED;
    PyObject *args[3] = {lane, arrival->payload, arrival->stamp};
    PyObject *answer = PyObject_VectorcallMethod(str_file, args, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (answer == NULL) return FAILED;
    if (answer == Py_None || answer == Py_False) {
        Py_DECREF(answer);
        return answer == Py_None ? NOT_AS_PREDICTED : REFUSED;
    }
    *entry = answer;
    return TAKEN;
}

typedef struct {
    PyObject *attend, *result;
} Attention;

/* Tells of a payload that a slot took, if it is attended. */
static int
attend_to(SlotCore *slot, PyObject *entry, const Attention *attention)
{
    if (!slot->is_attended) return TAKEN;
    STREAM_END(); /* what is called may let another thread go on */
    PyObject *made = entry != NULL ? Py_NewRef(entry) : core_get_current(slot, NULL);
    PyObject *done = made == NULL ? NULL
                                  : PyObject_CallFunctionObjArgs(attention->attend, slot, made, attention->result, NULL);
    Py_XDECREF(made);
    Py_XDECREF(done);
    return done == NULL ? FAILED : TAKEN;
}

/* Files one message by its lane. */
static int
file_one(PyObject *lane, Arrival *arrival, const Attention *attention)
{
    PyObject *entry = NULL, *slot = NULL;
    int result;
    if (Py_IS_TYPE(lane, &LaneType)) {
        result = lane_take((Lane *)lane, arrival, &entry);
        if (result == TAKEN && (entry != NULL || ((Lane *)lane)->slot->is_attended)) slot = Py_NewRef(((Lane *)lane)->slot);
    }
    else {
        result = other_lane_take(lane, arrival, &entry);
        if (result == TAKEN) slot = PyObject_GetAttrString(lane, "slot");
        if (result == TAKEN && slot == NULL) result = FAILED;
        if (slot != NULL && !PyObject_TypeCheck(slot, &SlotCoreType)) {
            PyErr_SetString(PyExc_TypeError, "a lane's slot must be a SlotCore");
            result = FAILED;
        }
    }
    if (result == TAKEN && slot != NULL) result = attend_to((SlotCore *)slot, entry, attention);
    Py_XDECREF(slot);
    Py_XDECREF(entry);
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

/* The processor may leave it at that where it does not know the page. Reading makes it find out. */
#define TOUCH(address) ((void)*(volatile const char *)(address))

static void
fetch_ahead(PyObject *const *lanes, int count)
{
    const SlotCore *slots[WINDOW];
    for (int i = 0; i < count; i++) {
        slots[i] = Py_IS_TYPE(lanes[i], &LaneType) ? ((Lane *)lanes[i])->slot : NULL;
        if (slots[i] == NULL) continue;
        TOUCH(&slots[i]->current);
        PREFETCH((const char *)slots[i] + sizeof(SlotCore) - 1);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL) continue;
        if (slots[i]->history != NULL && Py_IS_TYPE(slots[i]->history, &RingType)) {
            TOUCH(&((Ring *)slots[i]->history)->maxlen);
        }
        if (slots[i]->ids != NULL && Py_IS_TYPE(slots[i]->ids, &IdWindowType)) {
            TOUCH(&((IdWindow *)slots[i]->ids)->size);
            PREFETCH((const char *)slots[i]->ids + sizeof(IdWindow) - 1);
        }
        if (slots[i]->current != NULL) PREFETCH(slots[i]->current);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL || slots[i]->ids == NULL || !Py_IS_TYPE(slots[i]->ids, &IdWindowType)) continue;
        const IdWindow *ids = (IdWindow *)slots[i]->ids;
        if (ids->ids != NULL) PREFETCH(&ids->ids[ids->next]);
    }
}

/* A batch: a list of bytes, or an inlet. */
static Py_ssize_t
batch_size(PyObject *batch)
{
    return PyList_CheckExact(batch) ? PyList_GET_SIZE(batch) : PyObject_Size(batch);
}

/* The message at this position; where it is an object it is held. -1 with an exception. */
static int
batch_message(PyObject *batch, Py_ssize_t position, Arrival *arrival)
{
    arrival->payload = NULL;
    if (!PyList_CheckExact(batch)) {
#ifndef MS_WINDOWS
        arrival->data = inlet_message((Inlet *)batch, position, &arrival->size);
#endif
        return 0;
    }
    PyObject *message = PyList_GET_ITEM(batch, position);
    if (!PyBytes_Check(message)) {
        PyErr_SetString(PyExc_TypeError, "messages must be bytes");
        return -1;
    }
    arrival->payload = Py_NewRef(message);
    arrival->data = PyBytes_AS_STRING(message);
    arrival->size = PyBytes_GET_SIZE(message);
    return 0;
}

/* Messages of a batch that are looked at together. Everything here is held. */
typedef struct {
    Arrival arrivals[WINDOW];
    PyObject *lanes[WINDOW];
    int count;
} Few;

static void
let_go(Few *few, int from, int until)
{
    for (int i = from; i < until; i++) {
        Py_XDECREF(few->arrivals[i].payload);
        Py_XDECREF(few->lanes[i]);
    }
}

/* Finds the lanes of the next few messages, up to one that has none; -1 with an exception. A key of `by_head` may run code
 * of others where it is compared. */
static int
find_lanes(Few *few, PyObject *batch, Py_ssize_t position, const Arrival *stamp, const StartTable *by_start,
           PyObject *by_head)
{
    size_t hashes[WINDOW];
    Py_ssize_t left = batch_size(batch) - position;
    int window = left < WINDOW ? (int)left : WINDOW, count;
    for (count = 0; count < window; count++) {
        Arrival *arrival = &few->arrivals[count];
        *arrival = *stamp;
        few->lanes[count] = NULL;
        if (batch_message(batch, position + count, arrival)) break;
        hashes[count] = 0;
        if (arrival->size < START_LENGTH) continue;
        hashes[count] = hash_start(arrival->data);
        if (by_start->count) PREFETCH(&by_start->berths[hashes[count] & (by_start->count - 1)]);
    }
    window = count;
    if (window > 0) PyErr_Clear(); /* it is said when its turn comes */
    for (count = 0; count < window; count++) {
        const Arrival *arrival = &few->arrivals[count];
        PyObject *lane = arrival->size >= START_LENGTH && by_start->count
                             ? find_berth(by_start, arrival->data, hashes[count])->lane : NULL;
        if (lane == NULL) lane = lane_of_head(arrival->data, arrival->size, by_head);
        if (lane == NULL) break;
        few->lanes[count] = Py_NewRef(lane);
        if (Py_IS_TYPE(lane, &LaneType)) PREFETCH(&((Lane *)lane)->kind);
    }
    let_go(few, count, window);
    few->count = count;
    if (!PyErr_Occurred()) return 0;
    let_go(few, 0, count);
    return -1;
}

PyDoc_STRVAR(file_doc,
"file(messages, position, by_start, by_head, stamp, attend, result) -> position\n\n"
"File the messages (a list of bytes, or an Inlet) from `position` on, up to one that no lane reads. Where a slot that took\n"
"one is attended, `attend(slot, entry, result)` is called.");

static Py_ssize_t
file_batch(PyObject *batch, Py_ssize_t position, const Arrival *stamp, const StartTable *by_start, PyObject *by_head,
           const Attention *attention)
{
    Few few;
    int result = TAKEN, is_over = 0;
    while (result >= REFUSED && !is_over && position < batch_size(batch)) {
        int is_changed = 0;
        if (find_lanes(&few, batch, position, stamp, by_start, by_head)) {
            result = FAILED;
            break;
        }
        is_over = few.count == 0;
        if (few.count > 1) fetch_ahead(few.lanes, few.count);
        for (int i = 0; i < few.count && result >= REFUSED && !is_changed; i++) {
            Arrival *arrival = &few.arrivals[i];
            /* What was called may have changed the list: then what stands there now has another lane, or nothing does. */
            is_changed = PyList_CheckExact(batch)
                         && (position >= PyList_GET_SIZE(batch) || PyList_GET_ITEM(batch, position) != arrival->payload);
            if (is_changed) break;
            result = file_one(few.lanes[i], arrival, attention);
            if (result >= REFUSED) position++;
        }
        let_go(&few, 0, few.count);
    }
    STREAM_END();
    return result == FAILED ? -1 : position;
}

static PyObject *
speedups_file(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    int is_list = nargs == 7 && PyList_CheckExact(args[0]), is_inlet = 0;
#ifndef MS_WINDOWS
    is_inlet = nargs == 7 && Py_IS_TYPE(args[0], &InletType);
#endif
    if (!(is_list || is_inlet) || !Py_IS_TYPE(args[2], &StartTableType) || !PyDict_CheckExact(args[3])) {
        PyErr_SetString(PyExc_TypeError, "file(list or Inlet, int, StartTable, dict, stamp, attend, result)");
        return NULL;
    }
    const Attention attention = {args[5], args[6]};
    Arrival stamp = {0};
    Py_ssize_t position = PyLong_AsSsize_t(args[1]);
    if (position < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "position must not be negative");
        return NULL;
    }
    if (arrive(&stamp, args[4])) return NULL;
    if (position > batch_size(args[0])) position = batch_size(args[0]);
#ifndef MS_WINDOWS
    if (is_inlet) { /* its buffer must not change meanwhile */
        if (inlet_check((Inlet *)args[0])) return NULL;
        ((Inlet *)args[0])->is_busy = FILING;
    }
#endif
    position = file_batch(args[0], position, &stamp, (StartTable *)args[2], args[3], &attention);
#ifndef MS_WINDOWS
    if (is_inlet) ((Inlet *)args[0])->is_busy = 0;
#endif
    return position < 0 ? NULL : PyLong_FromSsize_t(position);
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
    str_take = PyUnicode_InternFromString("take");
    str_take_identified = PyUnicode_InternFromString("take_identified");
    str_file = PyUnicode_InternFromString("file");
    if (!str_take || !str_take_identified || !str_file) return NULL;
    if (PyType_Ready(&RingType) < 0 || PyType_Ready(&IdWindowType) < 0 || PyType_Ready(&SlotCoreType) < 0
        || PyType_Ready(&LaneType) < 0 || PyType_Ready(&StartTableType) < 0)
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
        || PyModule_AddObjectRef(module, "StartTable", (PyObject *)&StartTableType) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
