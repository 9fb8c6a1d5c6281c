/* `file`: payloads of a batch into their slots. Part of module.c. */

#define HEAD_SCAN_FROM 29

static PyObject *str_file;

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
    int calls;
} Attention;

/* Tells of a payload that a slot took, if it is attended. */
static int
attend_to(SlotCore *slot, PyObject *entry, Attention *attention)
{
    if (!slot->is_attended) return TAKEN;
    attention->calls++;
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
file_one(PyObject *lane, Arrival *arrival, Attention *attention)
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
fetch_ahead(PyObject *const *lanes, const Arrival *arrivals, int count)
{
    const SlotCore *slots[WINDOW];
    for (int i = 0; i < count; i++) {
        slots[i] = NULL;
        if (!Py_IS_TYPE(lanes[i], &LaneType)) continue;
        slots[i] = ((Lane *)lanes[i])->slot;
        if (slots[i] == NULL) continue; /* a lane made by `__new__` alone */
        TOUCH(&slots[i]->current);
        PREFETCH(arrivals[i].data + arrivals[i].size - 1);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL) continue;
        if (slots[i]->has_ring) TOUCH(&((Ring *)slots[i]->history)->positions);
        if (slots[i]->has_window) TOUCH(&((IdWindow *)slots[i]->ids)->ids);
        if (slots[i]->current != NULL) PREFETCH(slots[i]->current);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL) continue;
        if (slots[i]->has_ring) {
            const Ring *ring = (Ring *)slots[i]->history;
            if (ring->positions != NULL) PREFETCH(&ring->positions[ring->next]);
        }
        if (slots[i]->has_window) {
            const IdWindow *window = (IdWindow *)slots[i]->ids;
            if (window->ids != NULL) PREFETCH(&window->ids[window->next]);
        }
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
    for (int i = 0; i < window && by_start->count; i++) {
        const Arrival *arrival = &few->arrivals[i];
        if (arrival->size < START_LENGTH) continue;
        few->lanes[i] = find_berth(by_start, arrival->data, hashes[i])->lane;
        if (few->lanes[i] != NULL) PREFETCH(few->lanes[i]);
    }
    for (int i = 0; i < window; i++) Py_XINCREF(few->lanes[i]); /* before code of others may let go of them */
    for (count = 0; count < window; count++) {
        if (few->lanes[count] != NULL) continue;
        const Arrival *arrival = &few->arrivals[count];
        PyObject *lane = lane_of_head(arrival->data, arrival->size, by_head);
        if (lane == NULL) break;
        few->lanes[count] = Py_NewRef(lane);
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
           Attention *attention)
{
    Few few;
    int result = TAKEN, is_over = 0;
    while (result >= REFUSED && !is_over && position < batch_size(batch)) {
        if (find_lanes(&few, batch, position, stamp, by_start, by_head)) {
            result = FAILED;
            break;
        }
        is_over = few.count == 0;
        if (few.count > 1) fetch_ahead(few.lanes, few.arrivals, few.count);
        for (int i = 0; i < few.count && result >= REFUSED; i++) {
            Arrival *arrival = &few.arrivals[i];
            /* What was called may have changed the list: then what stands there now has another lane, or nothing does. */
            if (PyList_CheckExact(batch)
                && (position >= PyList_GET_SIZE(batch) || PyList_GET_ITEM(batch, position) != arrival->payload))
                break;
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
    Attention attention = {args[5], args[6], 0};
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
