/* The journal: where the entries of all histories are written, one behind the other. Part of module.c. */

/* With many markets, each with a stretch of memory of its own, every message is written to another page than the ones before
 * it, and the processor has to find out anew where that page lies. That costs more than the writing. Here all of them go to
 * the same place, whatever market they are of, and a history is a list of positions.
 *
 * Memory is had in *chunks*. A chunk can be had again when no history has an entry in it any more. Markets differ, so some
 * entries outlive their neighbours by far: while less than half of all that is written is in use, the chunk with the least is
 * emptied, and what is in use of it moved to where such entries stand.
 */

#define CHUNK_BITS 13
/* In lines. A power of two less one: then four, eight, ... of them fill a field, which has a head as well. */
#define LARGEST_CHUNK ((UINT32_C(1) << CHUNK_BITS) - 1)
#define SMALLEST_CHUNK 511
#define MOST_CHUNKS (UINT32_C(1) << (32 - CHUNK_BITS))
/* So few chunks need not be tidy; and so many are tidied at once, which keeps up, as more than half of each is free then. */
#define UNTIDY_CHUNKS 8
#define TIDIED_AT_ONCE 4
#define NOWHERE UINT32_MAX

/* What is let go of together should be written together. So there is a stream of chunks for entries of each span of life: it
 * doubles from one to the next, and is how much was written meanwhile. Entries of a history live as long as the last one
 * that it let go of; of one that has let go of none it is not known. */
#define SHORTEST_SPAN 13 /* as a power of two, in lines */
#define SPANS 12
enum { UNKNOWN, MOVED, FIRST_SPAN, STREAMS = FIRST_SPAN + SPANS };

typedef struct {
    double received_at;
    int64_t epoch;
    uint32_t length, is_apart; /* of what follows: the payload, or where it is large and apart, a pointer to the object */
    uint32_t ring, index;      /* whose it is: the number of the history, and which of its positions */
} PlaceHead;

/* Where an entry stands. A history knows how much each takes, so nothing of an entry is read when it is let go of. */
typedef struct {
    uint32_t place; /* the number of a chunk, and a line of it */
    uint32_t lines;
} Position;

typedef struct {
    /* What letting go of an entry needs stands in one line. */
    uint64_t opened_at;   /* see `written` */
    uint32_t live;        /* lines of entries in use */
    char is_there, is_open, is_empty;
    uint32_t used, lines; /* that are written, and that it has */
    Land land;
} Chunk;

/* A history. What is written for every entry stands together. */
typedef struct RingState {
    Position *positions; /* in the journal; `allocated` of them */
    uint32_t next;       /* where the next entry goes; the oldest one, where it is full */
    uint32_t size, allocated, maxlen;
    uint32_t apart;      /* how many payloads are objects */
    uint32_t number;     /* in the journal; 0 until the first entry came */
    int stream;          /* of the journal, for the next entry */
} RingState;

static struct {
    Chunk *chunks;
    uint32_t count, allocated; /* of `chunks` */
    uint32_t there;            /* chunks that have memory */
    uint64_t lines, empty;     /* of all chunks, and of those that are empty */
    uint32_t cleared;          /* number of the chunk that became empty last */
    uint32_t closed;           /* chunks that are neither open nor empty, and the lines of these */
    uint64_t closed_live, closed_used;
    uint64_t written;          /* lines, ever */
    uint32_t open[STREAMS];    /* number of a chunk, plus one; 0: none */
    RingState **rings;              /* by their number; 0 is nobody's */
    uint32_t ring_count, ring_room, rings_there;
    uint32_t lowest_chunk, lowest_ring; /* no number below is free */
} journal;

/* Whether an entry is in use that was written to this place. The history may be gone, and another one have
 * its number: but then its entries stand elsewhere. */
static int
ring_has(const RingState *self, uint32_t index, uint32_t place)
{
    return self != NULL && index < self->size && self->positions[index].place == place;
}

/* An entry stands elsewhere now. */
static void
ring_moves(RingState *self, uint32_t index, uint32_t place)
{
    self->positions[index].place = place;
}

static uint32_t
lines_for(size_t length)
{
    return (uint32_t)(whole_lines(sizeof(PlaceHead) + length) / LINE);
}

static char *
journal_place(uint32_t place)
{
    return journal.chunks[place >> CHUNK_BITS].land.start + (size_t)(place & LARGEST_CHUNK) * LINE;
}

/* Begins anew: no entry is in it. */
static void
chunk_begin(Chunk *chunk)
{
    chunk->used = chunk->live = 0;
    chunk->opened_at = journal.written;
}

static void
chunk_give_back(uint32_t number)
{
    Chunk *chunk = &journal.chunks[number];
    land_give_back(&chunk->land);
    journal.lines -= chunk->lines;
    if (chunk->is_empty) journal.empty -= chunk->lines;
    journal.there--;
    if (number < journal.lowest_chunk) journal.lowest_chunk = number;
    memset(chunk, 0, sizeof(Chunk));
}

/* Nothing of a closed chunk is in use any more. Some such are kept: memory that comes from the system anew costs more than
 * to write to it. */
static void
chunk_clear(uint32_t number)
{
    Chunk *chunk = &journal.chunks[number];
    journal.closed--;
    journal.closed_used -= chunk->used;
    journal.cleared = number;
    chunk->is_empty = 1;
    journal.empty += chunk->lines;
    while (journal.empty > journal.lines / 32 + 2 * SMALLEST_CHUNK) {
        uint32_t smallest = NOWHERE; /* it is of the least use */
        for (uint32_t i = 0; i < journal.count; i++)
            if (journal.chunks[i].is_empty
                && (smallest == NOWHERE || journal.chunks[i].lines < journal.chunks[smallest].lines))
                smallest = i;
        chunk_give_back(smallest);
    }
}

/* Nothing is written to a chunk any more. */
static void
chunk_close(Chunk *chunk)
{
    chunk->is_open = 0;
    journal.closed++;
    journal.closed_live += chunk->live;
    journal.closed_used += chunk->used;
}

/* Lines of a closed chunk are in use no more. */
static void
chunk_release(uint32_t number, uint32_t lines)
{
    journal.closed_live -= lines;
    if (!(journal.chunks[number].live -= lines)) chunk_clear(number);
}

/* An entry is in use no more. The stream for those that live as long. */
static int
journal_drop(Position position)
{
    uint32_t number = position.place >> CHUNK_BITS;
    Chunk *chunk = &journal.chunks[number];
    uint64_t life = (journal.written - chunk->opened_at) >> SHORTEST_SPAN;
    int stream = FIRST_SPAN;
    for (; life && stream < STREAMS - 1; life >>= 1) stream++;
    if (chunk->is_open) chunk->live -= position.lines;
    else chunk_release(number, position.lines);
    return stream;
}

/* A number for a new chunk, or NOWHERE with an exception. */
static uint32_t
chunk_number(void)
{
    if (journal.there < journal.count) {
        while (journal.chunks[journal.lowest_chunk].is_there) journal.lowest_chunk++;
        return journal.lowest_chunk;
    }
    if (journal.count == journal.allocated) {
        uint32_t allocated = journal.allocated ? 2 * journal.allocated : 16;
        Chunk *chunks = allocated > MOST_CHUNKS ? NULL : PyMem_Realloc(journal.chunks, allocated * sizeof(Chunk));
        if (chunks == NULL) {
            PyErr_NoMemory();
            return NOWHERE;
        }
        memset(chunks + journal.count, 0, (allocated - journal.count) * sizeof(Chunk));
        journal.chunks = chunks;
        journal.allocated = allocated;
    }
    return journal.count++;
}

/* An empty chunk of at least so many lines, or NOWHERE. Nearly always it is the one that became empty last. */
static uint32_t
chunk_find(uint32_t lines)
{
    for (uint32_t i = 0; journal.empty && i < journal.count; i++) {
        uint32_t number = (journal.cleared + i) % journal.count;
        if (journal.chunks[number].is_empty && journal.chunks[number].lines >= lines) return number;
    }
    return NOWHERE;
}

/* A chunk for a stream, an empty one or a new one; -1 with an exception. */
static int
chunk_open(int stream)
{
    uint32_t lines = SMALLEST_CHUNK;
    while (lines < LARGEST_CHUNK && lines < journal.lines / 64) lines = 2 * lines + 1;
    uint32_t number = chunk_find(lines / 2);
    if (number != NOWHERE) {
        journal.chunks[number].is_empty = 0;
        journal.empty -= journal.chunks[number].lines;
    }
    else {
        Land land;
        if (land_take(&land, lines, LINE)) return -1;
        land_populate(&land);
        if ((number = chunk_number()) == NOWHERE) {
            land_give_back(&land);
            return -1;
        }
        journal.chunks[number] = (Chunk){.land = land, .lines = lines, .is_there = 1};
        journal.there++;
        journal.lines += lines;
    }
    journal.chunks[number].is_open = 1;
    chunk_begin(&journal.chunks[number]);
    journal.open[stream] = number + 1;
    return 0;
}

static int chunk_move(uint32_t number);

static int
is_tidy(void)
{
    return journal.closed <= UNTIDY_CHUNKS || 2 * journal.closed_live >= journal.closed_used;
}

/* The chunk that has the least in use, in eighths. Equal ones are taken in their order: those of one field stand together, and
 * only an empty field goes back to the system. */
static uint32_t
chunk_to_move(void)
{
    uint32_t best = NOWHERE;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < journal.count; i++) {
        const Chunk *chunk = &journal.chunks[i];
        if (!chunk->is_there || chunk->is_open || chunk->is_empty) continue;
        uint32_t eighths = chunk->live * 8 / chunk->used;
        if (eighths < least) {
            least = eighths;
            best = i;
        }
    }
    return best;
}

/* Moves entries together while too many of the others are not in use any more. Where there is no memory to do that, it waits. */
static void
journal_tidy(void)
{
    for (int i = 0; i < TIDIED_AT_ONCE && !is_tidy(); i++) {
        if (chunk_move(chunk_to_move())) {
            PyErr_Clear();
            return;
        }
    }
}

/* Room for an entry of so many lines; its place, or NOWHERE with an exception. Positions of other entries may change. */
static uint32_t
journal_room(int stream, uint32_t lines)
{
    uint32_t before = journal.open[stream];
    Chunk *chunk = before ? &journal.chunks[before - 1] : NULL;
    if (chunk == NULL || chunk->used + lines > chunk->lines) {
        if (chunk != NULL && chunk->live == 0) chunk_begin(chunk);
        else {
            if (chunk_open(stream)) return NOWHERE;
            if (before) chunk_close(&journal.chunks[before - 1]);
            if (stream != MOVED) journal_tidy();
        }
    }
    uint32_t number = journal.open[stream] - 1;
    chunk = &journal.chunks[number];
    uint32_t place = number << CHUNK_BITS | chunk->used;
    chunk->used += lines;
    chunk->live += lines;
    journal.written += lines;
    return place;
}

/* Moves the entries of a closed chunk that are in use to where such ones stand, and with the last of them the chunk is empty;
 * -1 with an exception. */
static int
chunk_move(uint32_t number)
{
    const uint32_t used = journal.chunks[number].used;
    uint32_t lines;
    for (uint32_t line = 0; line < used && journal.chunks[number].live; line += lines) {
        const uint32_t place = number << CHUNK_BITS | line;
        const PlaceHead *head = (PlaceHead *)journal_place(place);
        lines = lines_for(head->length);
        if (!ring_has(journal.rings[head->ring], head->index, place)) continue;
        uint32_t to = journal_room(MOVED, lines);
        if (to == NOWHERE) return -1;
        memcpy(journal_place(to), head, (size_t)lines * LINE);
        ring_moves(journal.rings[head->ring], head->index, to);
        chunk_release(number, lines);
    }
    return 0;
}

/* A number for a history; 0 with an exception. */
static uint32_t
journal_enter(RingState *ring)
{
    uint32_t number;
    if (journal.rings_there + 1 >= journal.ring_count) {
        if (journal.ring_count == journal.ring_room) {
            uint32_t room = journal.ring_room ? 2 * journal.ring_room : 64;
            RingState **rings = PyMem_Realloc(journal.rings, room * sizeof(RingState *));
            if (rings == NULL) {
                PyErr_NoMemory();
                return 0;
            }
            journal.rings = rings;
            journal.ring_room = room;
        }
        number = journal.ring_count ? journal.ring_count : 1;
        journal.ring_count = number + 1;
    }
    else {
        while (journal.lowest_ring == 0 || journal.rings[journal.lowest_ring] != NULL) journal.lowest_ring++;
        number = journal.lowest_ring;
    }
    journal.rings[number] = ring;
    journal.rings_there++;
    return number;
}

/* A history goes, and has no entries any more. With the last one goes all that is left, and with others some: many may go at
 * a time when nothing is written. */
static void
journal_leave(uint32_t number)
{
    journal.rings[number] = NULL;
    if (number < journal.lowest_ring) journal.lowest_ring = number;
    if (--journal.rings_there) {
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        journal_tidy();
        PyErr_Restore(kind, error, trace);
        return;
    }
    for (uint32_t i = 0; i < journal.count; i++)
        if (journal.chunks[i].is_there) chunk_give_back(i);
    memset(journal.open, 0, sizeof(journal.open));
    PyMem_Free(journal.chunks);
    PyMem_Free(journal.rings);
    journal.chunks = NULL;
    journal.rings = NULL;
    journal.count = journal.allocated = journal.ring_count = journal.ring_room = 0;
    journal.lowest_chunk = journal.lowest_ring = 0;
}
