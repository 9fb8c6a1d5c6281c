/* `IdWindow`: the ids that came last. Part of module.c. */

/* The last `size` ids. Nearly always the next one is larger than all before it, so looking for it can be slow. */
typedef struct {
    PyObject_HEAD
    int64_t *ids;  /* where `land` starts */
    int64_t largest;
    uint32_t next, count, size, allocated;
    uint32_t since;  /* how many ids came in line since the younger of the sets below last took the place of the older */
    /* Sets of ids, as bytes, that are remembered beside them, or NULL. After `size` ids in line the younger one takes
     * the place of the older one, so each is remembered until at least that many others came. */
    PyObject *beside, *beside_older;
    Land land;
    char unused[24]; /* so that the fields above the sets stand in one line, as with rings */
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
        for (uint32_t i = 0; i < self->count; i++)
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
        Py_ssize_t at = (Py_ssize_t)self->next - kept + i;
        ids[i] = self->ids[at < 0 ? at + self->count : at];
    }
    land_give_back(&self->land);
    self->land = land;
    self->ids = ids;
    self->allocated = (uint32_t)allocated;
    return 0;
}

static int
window_push(IdWindow *self, int64_t id)
{
    if (self->count < self->size && self->count == self->allocated) {
        uint32_t wanted = self->allocated < 16 ? 16 : self->allocated * 2;
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
    return (Py_ssize_t)self->count + beside + (self->beside_older == NULL ? 0 : PySet_GET_SIZE(self->beside_older));
}

static PyObject *
window_resize(IdWindow *self, PyObject *argument)
{
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    if (size < 1 || size > INT32_MAX || self->size == 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "size must be at least 1 and within bounds, and be there already");
        return NULL;
    }
    Py_ssize_t kept = (Py_ssize_t)self->count < size ? (Py_ssize_t)self->count : size;
    if (window_move(self, kept, kept ? kept : 1)) return NULL;
    self->count = (uint32_t)kept;
    self->size = (uint32_t)size;
    self->next = kept == size ? 0 : (uint32_t)kept;
    Py_RETURN_NONE;
}

static int
window_init(IdWindow *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"size", NULL};
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "n", names, &size)) return -1;
    if (size < 1 || size > INT32_MAX || self->size != 0) {
        PyErr_SetString(PyExc_ValueError, "size must be at least 1 and within bounds, and is given once");
        return -1;
    }
    self->size = (uint32_t)size;
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
