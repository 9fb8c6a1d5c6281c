/* `Inlet`: waits for a socket, reads it and splits its frames. Part of module.c. */

#ifndef MS_WINDOWS

#define LARGEST_COMMON (FRAME_HEAD + 65535)
/* Having waited for the interpreter for so long, in nanoseconds, others have it most of the time. */
#define LONG_WAIT 100000
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
    int problem;             /* the error number of the last read, 0 where it had none */
    int later;               /* one that the next read is to have */
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
    return size < FRAME_HEAD || (rest[2] << 8 | rest[3]) >= 126;
}

/* Notes the common frames from the start of the buffer on. Where it stopped; -1 with an exception. */
static Py_ssize_t
inlet_split(Inlet *self, Py_ssize_t size)
{
    const unsigned char *data = (const unsigned char *)self->buffer;
    Py_ssize_t position = 0, length;
    while ((length = common_length(data + position, size - position)) != 0) {
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
        self->starts[self->count++] = (uint32_t)(position + FRAME_HEAD);
        position += FRAME_HEAD + length;
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

static PyObject *
inlet_fail(Inlet *self, int problem)
{
    errno = self->problem = problem;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* Whether an error is told by this read that an earlier one came upon. */
static int
inlet_owes(Inlet *self)
{
    int later = self->later;
    self->later = 0;
    if (later) inlet_fail(self, later);
    return later;
}

static int64_t
nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Reads what has come since, without letting go of the interpreter: else it would be waited for once more. */
static Py_ssize_t
inlet_read_more(Inlet *self, char *room, Py_ssize_t size)
{
    Py_ssize_t got = recv(self->fd, room, size, MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) self->later = errno;
    if (got <= 0) return 0; /* an end is seen again */
    self->reads++;
    return got;
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
"a switch interval; what comes in that time is read as well.");

static PyObject *
inlet_wait_and_read(Inlet *self, int timeout, int is_flowing)
{
    struct pollfd waiting[2] = {{self->fd, POLLIN, 0}, {self->wake_fd, POLLIN, 0}}; /* a negative one is left out */
    Py_ssize_t got = -1;
    int ready = 0, problem;
    int64_t asked_at;
    if (inlet_owes(self)) return NULL;
    char *room = inlet_begin(self);
    self->problem = 0;
    Py_BEGIN_ALLOW_THREADS
    if (!is_flowing) ready = poll(waiting, 2, timeout);
    if (is_flowing || (ready > 0 && self->pause && !waiting[1].revents)) {
        int woken = poll(waiting + 1, 1, self->pause);
        ready = woken < 0 ? woken : 1;
    }
    if (ready > 0 && (waiting[0].revents || is_flowing) && !waiting[1].revents)
        got = recv(self->fd, room, self->size, MSG_DONTWAIT); /* flowing: something is there, probably */
    problem = errno;
    asked_at = nanoseconds();
    Py_END_ALLOW_THREADS
    if (got > 0 && got < self->size && nanoseconds() - asked_at > LONG_WAIT)
        got += inlet_read_more(self, room + got, self->size - got);
    self->is_busy = 0;
    PyObject *found = NULL;
    if (got >= 0) found = inlet_take(self, got);
    else if (ready > 0 && waiting[1].revents) found = PyLong_FromLong(2 + (waiting[0].revents != 0));
    else if (ready == 0 || problem == EINTR || (ready > 0 && (problem == EAGAIN || problem == EWOULDBLOCK)))
        found = PyLong_FromLong(0);
    else inlet_fail(self, problem);
    Py_DECREF(self);
    return found;
}

static PyObject *
inlet_read(Inlet *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "read(timeout, is_flowing)");
        return NULL;
    }
    int timeout = args[0] == Py_None ? -1 : milliseconds_of(PyFloat_AsDouble(args[0]));
    int is_flowing = PyObject_IsTrue(args[1]);
    if (PyErr_Occurred() || inlet_check(self)) return NULL;
    return inlet_wait_and_read(self, timeout, is_flowing);
}

/* One read of what is there; BlockingIOError where nothing is. */
static PyObject *
inlet_read_now(Inlet *self, PyObject *nothing)
{
    if (inlet_check(self) || inlet_owes(self)) return NULL;
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
    {"problem", T_INT, offsetof(Inlet, problem), READONLY, NULL},
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
