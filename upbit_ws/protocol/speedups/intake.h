/* `Intake`: files what comes in on one connection, as long as there is nothing else to do. Part of module.c. */

/* What comes ten times a second finds the processor's caches empty, and then most of the time goes into fetching the
 * interpreter's code and what it works on, not into filing. So a batch that leaves nothing to do outside the pool's lock
 * goes from the socket into the pool without any Python code being run. */

#define HEARD_KEPT 64

typedef struct {
    PyObject_HEAD
    PyObject *acquire, *release, *by_start, *by_head, *attend, *make_result, *clock, *number;
    PyObject *result;    /* nothing stands in it yet */
    PyObject *left;      /* what the last batch left to do: (messages, position, stamp, result), or NULL */
    double interval;     /* see `hear` of hearing.py, also for what follows */
    double heard_at, noted_at, note_from;
    double heard[HEARD_KEPT];
    int heard_count;
    double alive_at;     /* when a batch last came, see epoch_manager.py */
    char is_newest;      /* the epoch, of those of its endpoint */
    char is_awaited, is_busy;
    long long messages;  /* of batches that left nothing to do, or that failed */
} Intake;

/* What became of a batch, besides FAILED. */
enum { FILED = 1, LEFT = 2, NOT_NEWEST = 3 };

static void
intake_hear(Intake *self, double now)
{
    if (now >= self->note_from && self->heard_count < HEARD_KEPT - 1) {
        if (self->heard_at > self->noted_at) self->heard[self->heard_count++] = self->heard_at;
        self->heard[self->heard_count++] = self->noted_at = now;
        self->note_from = now + self->interval;
    }
    self->heard_at = now;
}

/* Whether the clocks should hear of it now. */
static int
intake_is_due(const Intake *self)
{
    return (self->is_awaited && self->heard_count > 0) || self->heard_count >= HEARD_KEPT - 1;
}

static int
intake_file_locked(Intake *self, PyObject *batch, PyObject *time)
{
    if (!self->is_newest) return NOT_NEWEST;
    PyObject *result = self->result; /* held here: what is called may be anything, and it may fail halfway */
    self->result = NULL;
    if (result == NULL && (result = PyObject_CallNoArgs(self->make_result)) == NULL) return FAILED;
    PyObject *stamp = PyTuple_Pack(2, time, self->number);
    Arrival arrival = {0};
    if (stamp == NULL || arrive(&arrival, stamp)) {
        Py_XDECREF(stamp);
        Py_DECREF(result);
        return FAILED;
    }
    if (arrival.received_at > self->alive_at) self->alive_at = arrival.received_at; /* no value is newer than this */
    Attention attention = {self->attend, result, 0};
    Py_ssize_t position = file_batch(batch, 0, &arrival, (StartTable *)self->by_start, self->by_head, &attention);
    int outcome = FAILED;
    if (position == batch_size(batch) && !attention.calls) {
        self->messages += position;
        intake_hear(self, arrival.received_at);
        outcome = FILED;
        Py_XSETREF(self->result, Py_NewRef(result)); /* nothing stands in it */
    }
    else if (position >= 0) {
        Py_XSETREF(self->left, Py_BuildValue("(OnOO)", batch, position, stamp, result));
        if (self->left != NULL) outcome = LEFT;
    }
    Py_DECREF(result);
    Py_DECREF(stamp);
    return outcome;
}

/* Files a batch under the lock of the pool. */
static int
intake_file_batch(Intake *self, PyObject *batch, double now)
{
    char *busy = NULL;
    if (self->left != NULL) return LEFT;
#ifndef MS_WINDOWS
    if (Py_IS_TYPE(batch, &InletType)) busy = &((Inlet *)batch)->is_busy;
    if (busy != NULL) *busy = FILING;
#endif
    PyObject *time = PyFloat_FromDouble(now);
    PyObject *held = time == NULL ? NULL : PyObject_CallNoArgs(self->acquire);
    int outcome = FAILED;
    if (held != NULL) {
        self->is_busy = 1;
        outcome = intake_file_locked(self, batch, time);
        self->is_busy = 0;
        if (outcome == FAILED) self->messages += batch_size(batch); /* it came, and nobody else counts it */
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        PyObject *released = PyObject_CallNoArgs(self->release);
        if (released == NULL) outcome = FAILED;
        if (kind != NULL || released != NULL) PyErr_Restore(kind, error, trace);
        Py_XDECREF(released);
        Py_DECREF(held);
    }
    Py_XDECREF(time);
    if (busy != NULL) *busy = 0;
    return outcome;
}

static int
intake_check(const Intake *self)
{
    if (self->acquire != NULL && !self->is_busy) return 0;
    PyErr_SetString(PyExc_ValueError, "this Intake is not ready, or in use");
    return -1;
}

PyDoc_STRVAR(intake_file_doc,
"file(messages, now) -> bool\n\n"
"File a batch (a list of bytes, or an Inlet). False where something is left to do: what `take_left` says, or, where that is\n"
"None, all of it, because the epoch is not the newest one.");

static PyObject *
intake_file(Intake *self, PyObject *const *args, Py_ssize_t nargs)
{
    int is_batch = nargs == 2 && PyList_CheckExact(args[0]);
#ifndef MS_WINDOWS
    if (nargs == 2 && Py_IS_TYPE(args[0], &InletType)) {
        if (inlet_check((Inlet *)args[0])) return NULL;
        is_batch = 1;
    }
#endif
    if (!is_batch) {
        PyErr_SetString(PyExc_TypeError, "file(list or Inlet, now)");
        return NULL;
    }
    double now = PyFloat_AsDouble(args[1]);
    if ((now == -1.0 && PyErr_Occurred()) || intake_check(self)) return NULL;
    int outcome = intake_file_batch(self, args[0], now);
    return outcome == FAILED ? NULL : PyBool_FromLong(outcome == FILED);
}

#ifndef MS_WINDOWS
PyDoc_STRVAR(intake_serve_doc,
"serve(inlet, timeout, is_flowing) -> None, inlet, bytes, tuple or int\n\n"
"As `Inlet.read`, again and again, and file what that brings as long as it is messages and nothing is left to do. None when\n"
"`timeout` seconds are over or somebody waits to hear that something came.");

/* What time it is; NaN with an exception. */
static double
intake_now(const Intake *self)
{
    PyObject *time = PyObject_CallNoArgs(self->clock);
    double now = time == NULL ? -1.0 : PyFloat_AsDouble(time);
    Py_XDECREF(time);
    if (now == -1.0 && PyErr_Occurred()) return Py_NAN;
    if (isnan(now)) PyErr_SetString(PyExc_ValueError, "the clock must tell a number");
    return now;
}

static PyObject *
intake_serve(Intake *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !Py_IS_TYPE(args[0], &InletType)) {
        PyErr_SetString(PyExc_TypeError, "serve(Inlet, timeout, is_flowing)");
        return NULL;
    }
    Inlet *inlet = (Inlet *)args[0];
    double patience = args[1] == Py_None ? Py_HUGE_VAL : PyFloat_AsDouble(args[1]);
    int is_flowing = PyObject_IsTrue(args[2]);
    if (PyErr_Occurred() || inlet_check(inlet) || intake_check(self)) return NULL;
    double now = intake_now(self), begun = now, until = now + patience;
    if (isnan(now)) return NULL;
    while (1) {
        PyObject *found = inlet_wait_and_read(inlet, until == Py_HUGE_VAL ? -1 : milliseconds_of(until - now), is_flowing);
        if (found != (PyObject *)inlet || inlet->count == 0) return found;
        now = intake_now(self);
        int outcome = isnan(now) ? FAILED : intake_file_batch(self, found, now);
        if (outcome == LEFT || outcome == NOT_NEWEST) return found;
        Py_DECREF(found);
        if (outcome == FAILED) return NULL;
        if (intake_is_due(self)) Py_RETURN_NONE;
        now = intake_now(self); /* the lock may have been waited for */
        if (isnan(now)) return NULL;
        if (now >= until || now <= begun) Py_RETURN_NONE;
        if (PyErr_CheckSignals() || inlet_check(inlet) || intake_check(self)) return NULL;
        is_flowing = inlet->pause > 0;
    }
}
#endif

PyDoc_STRVAR(intake_take_left_doc,
"take_left() -> tuple or None\n\n"
"What the last batch left to do, once: its messages, how many of them were filed, their stamp, and the result that `attend`\n"
"was called with.");

static PyObject *
intake_take_left(Intake *self, PyObject *nothing)
{
    PyObject *left = self->left != NULL ? self->left : Py_NewRef(Py_None);
    self->left = NULL;
    return left;
}

static PyObject *
intake_hear_method(Intake *self, PyObject *now)
{
    double heard_at = PyFloat_AsDouble(now);
    if (heard_at == -1.0 && PyErr_Occurred()) return NULL;
    intake_hear(self, heard_at);
    Py_RETURN_NONE;
}

static PyObject *
intake_take_heard(Intake *self, PyObject *nothing)
{
    int has_last = self->heard_at > self->noted_at, count = self->heard_count + has_last;
    PyObject *heard = PyList_New(count);
    if (heard == NULL) return NULL;
    for (int i = 0; i < count; i++) {
        PyObject *time = PyFloat_FromDouble(i < self->heard_count ? self->heard[i] : self->heard_at);
        if (time == NULL) {
            Py_DECREF(heard);
            return NULL;
        }
        PyList_SET_ITEM(heard, i, time);
    }
    self->heard_count = 0;
    self->noted_at = self->heard_at;
    self->note_from = -Py_HUGE_VAL;
    return heard;
}

static PyObject *
intake_get_is_due(Intake *self, void *closure)
{
    return PyBool_FromLong(intake_is_due(self));
}

static int
intake_init(Intake *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"acquire", "release", "by_start", "by_head", "attend", "make_result", "clock", "epoch", "interval", NULL};
    PyObject *acquire, *release, *by_start, *by_head, *attend, *make_result, *clock, *number;
    double interval;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO!O!OOOO!d", names, &acquire, &release, &StartTableType, &by_start,
                                     &PyDict_Type, &by_head, &attend, &make_result, &clock, &PyLong_Type, &number, &interval))
        return -1;
    if (self->acquire != NULL) {
        PyErr_SetString(PyExc_ValueError, "an intake is set once");
        return -1;
    }
    self->acquire = Py_NewRef(acquire);
    self->release = Py_NewRef(release);
    self->by_start = Py_NewRef(by_start);
    self->by_head = Py_NewRef(by_head);
    self->attend = Py_NewRef(attend);
    self->make_result = Py_NewRef(make_result);
    self->clock = Py_NewRef(clock);
    self->number = Py_NewRef(number);
    self->interval = interval;
    self->alive_at = self->heard_at = self->noted_at = self->note_from = -Py_HUGE_VAL;
    return 0;
}

static int
intake_traverse(Intake *self, visitproc visit, void *arg)
{
    Py_VISIT(self->acquire);
    Py_VISIT(self->release);
    Py_VISIT(self->by_start);
    Py_VISIT(self->by_head);
    Py_VISIT(self->attend);
    Py_VISIT(self->make_result);
    Py_VISIT(self->clock);
    Py_VISIT(self->number);
    Py_VISIT(self->result);
    Py_VISIT(self->left);
    return 0;
}

static int
intake_clear(Intake *self)
{
    Py_CLEAR(self->acquire);
    Py_CLEAR(self->release);
    Py_CLEAR(self->by_start);
    Py_CLEAR(self->by_head);
    Py_CLEAR(self->attend);
    Py_CLEAR(self->make_result);
    Py_CLEAR(self->clock);
    Py_CLEAR(self->number);
    Py_CLEAR(self->result);
    Py_CLEAR(self->left);
    return 0;
}

static void
intake_dealloc(Intake *self)
{
    PyObject_GC_UnTrack(self);
    intake_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef intake_methods[] = {
    {"file", (PyCFunction)(void (*)(void))intake_file, METH_FASTCALL, intake_file_doc},
#ifndef MS_WINDOWS
    {"serve", (PyCFunction)(void (*)(void))intake_serve, METH_FASTCALL, intake_serve_doc},
#endif
    {"take_left", (PyCFunction)intake_take_left, METH_NOARGS, intake_take_left_doc},
    {"hear", (PyCFunction)intake_hear_method, METH_O, PyDoc_STR("See hearing.py.")},
    {"take", (PyCFunction)intake_take_heard, METH_NOARGS, PyDoc_STR("See hearing.py.")},
    {NULL}
};

static PyMemberDef intake_members[] = {
    {"heard_at", T_DOUBLE, offsetof(Intake, heard_at), READONLY, NULL},
    {"messages", T_LONGLONG, offsetof(Intake, messages), READONLY, PyDoc_STR("Of batches that left nothing to do.")},
    {"alive_at", T_DOUBLE, offsetof(Intake, alive_at), READONLY, NULL},
    {"is_newest", T_BOOL, offsetof(Intake, is_newest), 0, NULL},
    {"is_awaited", T_BOOL, offsetof(Intake, is_awaited), 0, NULL},
    {NULL}
};

static PyGetSetDef intake_properties[] = {
    {"is_due", (getter)intake_get_is_due, NULL, NULL, NULL},
    {NULL}
};

static PyTypeObject IntakeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_upbit_ws_speedups.Intake",
    .tp_doc = PyDoc_STR("Intake(acquire, release, by_start, by_head, attend, make_result, clock, epoch, interval): files batches\n"
                        "of an epoch while `is_newest`."),
    .tp_basicsize = sizeof(Intake),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)intake_init,
    .tp_dealloc = (destructor)intake_dealloc,
    .tp_traverse = (traverseproc)intake_traverse,
    .tp_clear = (inquiry)intake_clear,
    .tp_methods = intake_methods,
    .tp_members = intake_members,
    .tp_getset = intake_properties,
};
