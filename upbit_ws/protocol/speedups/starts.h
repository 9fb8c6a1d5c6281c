/* `StartTable`: lanes by the first bytes of a payload. Part of module.c. */

#define START_LENGTH 43

/* A dict of bytes of START_LENGTH to lanes, with open addressing and the keys inside: one look-up reads one pair of lines,
 * and which one is known before, so that it can be fetched ahead. It is kept at most half full. */
typedef struct {
    PyObject *lane;  /* NULL: free */
    char is_gone;    /* was in use: the search goes on behind it */
    char start[START_LENGTH];
    char unused[LINE - sizeof(PyObject *) - 1 - START_LENGTH];
    Rule rule;       /* of the lane, where it is one of ours; its slot is held */
    char unused_too[LINE - sizeof(Rule)];
} Berth;

typedef struct {
    PyObject_HEAD
    Berth *berths;  /* the first pair of `land` */
    size_t count;   /* a power of two, or 0 */
    size_t used, taken;  /* lanes; berths that are not free */
    size_t changes;      /* how often it was changed: then a berth may have another lane, or none, or stand elsewhere */
    Land land;
} StartTable;

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

static int
is_same_start(const char *one, const char *other)
{
    uint64_t differs = word_at(one + START_LENGTH - 8) ^ word_at(other + START_LENGTH - 8);
    for (int i = 0; i + 8 <= START_LENGTH; i += 8) differs |= word_at(one + i) ^ word_at(other + i);
    return differs == 0;
}

/* The berth of a start, or the free one where it would go. There is always one. */
static Berth *
find_berth(const StartTable *self, const char *start, size_t hash)
{
    for (size_t at = hash & (self->count - 1);; at = (at + 1) & (self->count - 1)) {
        Berth *berth = &self->berths[at];
        if (berth->lane == NULL ? !berth->is_gone : is_same_start(berth->start, start)) return berth;
    }
}

static int
starts_grow(StartTable *self)
{
    size_t count = 64;
    while (count < self->used * 8) count *= 2;
    StartTable old = *self;
    if (land_take(&self->land, count + 1, sizeof(Berth))) {
        self->land = old.land;
        return -1;
    }
    self->berths = next_pair(self->land.start);
    memset(self->berths, 0, count * sizeof(Berth));
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

static PyObject *
starts_get(StartTable *self, PyObject *start)
{
    if (!PyBytes_Check(start)) {
        PyErr_SetString(PyExc_TypeError, "a start is bytes");
        return NULL;
    }
    const char *key = PyBytes_AS_STRING(start);
    PyObject *lane = NULL;
    if (self->count && PyBytes_GET_SIZE(start) == START_LENGTH) lane = find_berth(self, key, hash_start(key))->lane;
    return Py_NewRef(lane != NULL ? lane : Py_None);
}

static int
starts_set(StartTable *self, PyObject *start, PyObject *lane)
{
    if (check_start(start)) return -1;
    const char *key = PyBytes_AS_STRING(start);
    PyObject *before = NULL, *slot_before = NULL;
    if (lane == NULL) {
        Berth *berth = self->count ? find_berth(self, key, hash_start(key)) : NULL;
        if (berth == NULL || berth->lane == NULL) {
            PyErr_SetObject(PyExc_KeyError, start);
            return -1;
        }
        before = berth->lane;
        slot_before = (PyObject *)berth->rule.slot;
        berth->lane = NULL;
        berth->is_gone = 1;
        berth->rule.slot = NULL;
        self->used--;
    }
    else {
        if (4 * (self->taken + 1) > self->count && starts_grow(self)) return -1;
        Berth *berth = find_berth(self, key, hash_start(key));
        before = berth->lane;
        slot_before = (PyObject *)berth->rule.slot;
        if (before == NULL) {
            memcpy(berth->start, key, START_LENGTH);
            self->used++;
            self->taken++;
        }
        berth->lane = Py_NewRef(lane);
        berth->rule = Py_IS_TYPE(lane, &LaneType) ? ((Lane *)lane)->rule : (Rule){NULL};
        Py_XINCREF(berth->rule.slot);
    }
    self->changes++;
    Py_XDECREF(before);
    Py_XDECREF(slot_before);
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
    for (size_t i = 0; i < self->count; i++) {
        Py_VISIT(self->berths[i].lane);
        Py_VISIT(self->berths[i].rule.slot);
    }
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
    self->changes++;
    for (size_t i = 0; i < count; i++) {
        Py_XDECREF(berths[i].lane);
        Py_XDECREF(berths[i].rule.slot);
    }
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
