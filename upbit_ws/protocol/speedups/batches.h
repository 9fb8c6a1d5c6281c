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
    if (!slot->state->is_attended) return TAKEN;
    attention->calls++;
    STREAM_END(); /* what is called may let another thread go on */
    PyObject *made = entry != NULL ? Py_NewRef(entry) : core_get_current(slot, NULL);
    PyObject *done = made == NULL ? NULL
                                  : PyObject_CallFunctionObjArgs(attention->attend, slot, made, attention->result, NULL);
    Py_XDECREF(made);
    Py_XDECREF(done);
    return done == NULL ? FAILED : TAKEN;
}

/* Files one message by its rule, or where there is none by its lane. */
static int
file_one(const Rule *rule, PyObject *lane, Arrival *arrival, Attention *attention)
{
    Taken held = {NULL};
    int result;
    if (rule != NULL) {
        result = rule_take(rule, arrival, &held);
        if (result == TAKEN && held.slot == NULL && rule->state->is_attended)
            held.slot = Py_NewRef((PyObject *)rule->slot);
    }
    else {
        result = other_lane_take(lane, arrival, &held.entry);
        if (result == TAKEN) held.slot = PyObject_GetAttrString(lane, "slot");
        if (result == TAKEN && held.slot == NULL) result = FAILED;
        if (held.slot != NULL && !PyObject_TypeCheck(held.slot, &SlotCoreType)) {
            PyErr_SetString(PyExc_TypeError, "a lane's slot must be a SlotCore");
            result = FAILED;
        }
    }
    if (result == TAKEN && held.slot != NULL) result = attend_to((SlotCore *)held.slot, held.entry, attention);
    Py_XDECREF(held.slot);
    Py_XDECREF(held.entry);
    Py_XDECREF(held.before);
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
fetch_ahead(const Rule *const *rules, const Arrival *arrivals, int count)
{
    const SlotState *slots[WINDOW];
    for (int i = 0; i < count; i++) {
        slots[i] = rules[i] == NULL ? NULL : rules[i]->state;
        if (slots[i] == NULL) continue;
        TOUCH(&slots[i]->current);
        PREFETCH(arrivals[i].data + arrivals[i].size - 1);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL) continue;
        if (slots[i]->has_window) TOUCH(&((IdWindow *)slots[i]->ids)->ids);
        if (slots[i]->has_ring && slots[i]->ring.positions != NULL)
            PREFETCH(&slots[i]->ring.positions[slots[i]->ring.next]);
        if (slots[i]->current != NULL) PREFETCH(slots[i]->current);
    }
    for (int i = 0; i < count; i++) {
        if (slots[i] == NULL || !slots[i]->has_window) continue;
        const IdWindow *window = (IdWindow *)slots[i]->ids;
        if (window->ids != NULL) PREFETCH(&window->ids[window->next]);
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

/* Messages of a batch that are looked at together. */
typedef struct {
    Arrival arrivals[WINDOW];
    const Rule *rules[WINDOW]; /* NULL: the lane is one that Python made */
    PyObject *lanes[WINDOW];   /* NULL: the rule is one of a berth, which holds until the table changes */
    size_t changes;            /* of the table, when it was looked up */
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

/* Whether this one may still be filed as it was looked up. */
static int
is_valid(const Few *few, int at, const StartTable *by_start)
{
    return few->lanes[at] != NULL || few->changes == by_start->changes;
}

/* Finds the lanes of the next `window` messages at the most, up to one that has none; -1 with an exception. A key of
 * `by_head` may run code of others where it is compared. */
static int
find_lanes(Few *few, PyObject *batch, Py_ssize_t position, int window, const Arrival *stamp, const StartTable *by_start,
           PyObject *by_head)
{
    size_t hashes[WINDOW];
    Py_ssize_t left = batch_size(batch) - position;
    int count;
    if (left < window) window = (int)left;
    for (count = 0; count < window; count++) {
        Arrival *arrival = &few->arrivals[count];
        *arrival = *stamp;
        few->lanes[count] = NULL;
        few->rules[count] = NULL;
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
        const Berth *berth = find_berth(by_start, arrival->data, hashes[i]);
        if (berth->rule.slot != NULL) few->rules[i] = &berth->rule;
        else few->lanes[i] = Py_XNewRef(berth->lane);
    }
    few->changes = by_start->changes;
    for (count = 0; count < window; count++) {
        if (few->lanes[count] != NULL || few->rules[count] != NULL) continue;
        const Arrival *arrival = &few->arrivals[count];
        PyObject *lane = lane_of_head(arrival->data, arrival->size, by_head);
        if (lane == NULL) break;
        few->lanes[count] = Py_NewRef(lane);
        if (Py_IS_TYPE(lane, &LaneType) && ((Lane *)lane)->rule.slot != NULL) few->rules[count] = &((Lane *)lane)->rule;
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
    int result = TAKEN, is_over = 0, window = WINDOW;
    while (result >= REFUSED && !is_over && position < batch_size(batch)) {
        if (find_lanes(&few, batch, position, window, stamp, by_start, by_head)) {
            result = FAILED;
            break;
        }
        is_over = few.count == 0;
        /* Where looking up changes the table each time, one at a time gets on: what changes it is held. */
        window = few.changes == by_start->changes ? WINDOW : 1;
        if (few.count > 1 && window > 1) fetch_ahead(few.rules, few.arrivals, few.count);
        for (int i = 0; i < few.count && result >= REFUSED && is_valid(&few, i, by_start); i++) {
            Arrival *arrival = &few.arrivals[i];
            /* What was called may have changed the list: then what stands there now has another lane, or nothing does. */
            if (PyList_CheckExact(batch)
                && (position >= PyList_GET_SIZE(batch) || PyList_GET_ITEM(batch, position) != arrival->payload))
                break;
            result = file_one(few.rules[i], few.lanes[i], arrival, attention);
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
