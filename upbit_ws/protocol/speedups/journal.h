/* The journal: where the entries of all histories are written, one behind the other. Part of module.c. */

/* With many markets, each with a stretch of memory of its own, every message is written to another page than the ones before
 * it, and the processor has to find out anew where that page lies. That costs more than the writing. Here all of them go to
 * the same place, whatever market they are of, and a history is a list of positions.
 *
 * Memory is had in *chunks*. A chunk can be had again when no history has an entry in it any more. Markets differ, so some
 * entries outlive their neighbours by far: while less than half of all are in use, those of the chunk with the fewest are
 * moved to where such ones stand.
 */

#define CHUNK_BITS 13
/* In lines. A power of two less one: then four, eight, ... of them fill a field, which has a head as well. */
#define LARGEST_CHUNK ((UINT32_C(1) << CHUNK_BITS) - 1)
#define SMALLEST_CHUNK 511
#define MOST_CHUNKS (UINT32_C(1) << (32 - CHUNK_BITS))
/* So few chunks need not be tidy; and so many are tidied at once, which keeps up, as each frees half of itself at least. */
#define UNTIDY_CHUNKS 8
#define TIDIED_AT_ONCE 4
#define NOWHERE UINT32_MAX

/* What is let go of together should be written together. So there is a stream of chunks for entries of each span of life: it
 * doubles from one to the next, and is how much was written meanwhile. Entries of a history live as long as the last one
 * that it let go of; of one that has let go of none it is not known, and longer histories have longer ones. */
#define SHORTEST_SPAN 13 /* as a power of two, in lines */
#define SPANS 12
enum { UNKNOWN, UNKNOWN_LONG, MOVED, MOVED_LONG, FIRST_SPAN, STREAMS = FIRST_SPAN + SPANS };

typedef struct {
    double received_at;
    int64_t epoch;
    uint32_t length, is_apart; /* where it is, an object (a large payload) stands in place of the bytes */
    uint32_t ring, index;      /* whose it is: the number of the history, and which of its positions */
} PlaceHead;

/* In the first lines of a chunk each of its lines has a bit, which is set where an entry begins that is in use. */
typedef struct {
    Land land;
    uint32_t lines, used; /* it has, and are written; both with those of the bits */
    uint32_t live, total; /* entries: in use, and all */
    uint64_t opened_at;   /* see `written` */
    char is_there, is_open, is_empty;
} Chunk;

typedef struct Ring Ring;

static struct {
    Chunk *chunks;
    uint32_t count, allocated; /* of `chunks` */
    uint32_t there;            /* chunks that have memory */
    uint64_t lines, empty;     /* of all chunks, and of those that are empty */
    uint64_t written;          /* lines, ever */
    uint32_t open[STREAMS];    /* number of a chunk, plus one; 0: none */
    Ring **rings;              /* by their number; 0 is nobody's */
    uint32_t ring_count, ring_room, rings_there;
} journal;

static void ring_moves(Ring *ring, uint32_t index, uint32_t to);
static int ring_is_long(const Ring *ring);

static uint32_t
lines_for(size_t length)
{
    return (uint32_t)((sizeof(PlaceHead) + length + LINE - 1) / LINE);
}

static uint32_t
lines_of(const PlaceHead *head)
{
    return lines_for(head->is_apart ? sizeof(PyObject *) : head->length);
}

static char *
journal_place(uint32_t position)
{
    return journal.chunks[position >> CHUNK_BITS].land.start + (size_t)(position & LARGEST_CHUNK) * LINE;
}

/* The bits of 64 lines, and the one of a line. */
static uint64_t *
chunk_bits(const Chunk *chunk, uint32_t line)
{
    return (uint64_t *)chunk->land.start + line / 64;
}

#define BIT(line) (UINT64_C(1) << ((line) % 64))

/* Begins anew: no entry is in it. */
static void
chunk_begin(Chunk *chunk)
{
    chunk->used = (chunk->lines + 8 * LINE - 1) / (8 * LINE);
    chunk->live = chunk->total = 0;
    chunk->opened_at = journal.written;
    memset(chunk->land.start, 0, (size_t)chunk->used * LINE);
}

static void
chunk_give_back(uint32_t number)
{
    Chunk *chunk = &journal.chunks[number];
    land_give_back(&chunk->land);
    journal.lines -= chunk->lines;
    if (chunk->is_empty) journal.empty -= chunk->lines;
    journal.there--;
    memset(chunk, 0, sizeof(Chunk));
}

/* Nothing of a chunk is in use any more. Some such are kept: memory that comes from the system anew costs more than to
 * write to it. */
static void
chunk_clear(uint32_t number)
{
    Chunk *chunk = &journal.chunks[number];
    chunk->is_empty = 1;
    journal.empty += chunk->lines;
    if (journal.empty <= journal.lines / 32 + 2 * SMALLEST_CHUNK) return;
    for (uint32_t i = 0; i < journal.count; i++) /* the smallest is of the least use */
        if (journal.chunks[i].is_empty && journal.chunks[i].lines < journal.chunks[number].lines) number = i;
    chunk_give_back(number);
}

/* An entry is in use no more. The stream for those that live as long. */
static int
journal_drop(uint32_t position)
{
    uint32_t number = position >> CHUNK_BITS;
    Chunk *chunk = &journal.chunks[number];
    uint64_t life = (journal.written - chunk->opened_at) >> SHORTEST_SPAN;
    int stream = FIRST_SPAN;
    for (; life && stream < STREAMS - 1; life >>= 1) stream++;
    *chunk_bits(chunk, position & LARGEST_CHUNK) &= ~BIT(position & LARGEST_CHUNK);
    if (--chunk->live == 0 && !chunk->is_open) chunk_clear(number);
    return stream;
}

/* A number for a new chunk, or NOWHERE with an exception. */
static uint32_t
chunk_number(void)
{
    uint32_t number = 0;
    if (journal.there < journal.count) {
        while (journal.chunks[number].is_there) number++;
        return number;
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

/* A chunk for a stream, an empty one or a new one; -1 with an exception. */
static int
chunk_open(int stream)
{
    uint32_t lines = SMALLEST_CHUNK, number = 0;
    while (lines < LARGEST_CHUNK && lines < journal.lines / 64) lines = 2 * lines + 1;
    while (number < journal.count && !(journal.chunks[number].is_empty && journal.chunks[number].lines >= lines / 2))
        number++;
    if (number < journal.count) {
        journal.chunks[number].is_empty = 0;
        journal.empty -= journal.chunks[number].lines;
    }
    else {
        Land land;
        if (land_take(&land, lines, LINE)) return -1;
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

/* Moves entries together while too many of the others are not in use any more. Where there is no memory to do that, it waits. */
static void
journal_tidy(void)
{
    for (int i = 0; i < TIDIED_AT_ONCE; i++) {
        uint64_t live = 0, total = 0;
        uint32_t closed = 0;
        uint32_t fewest = NOWHERE;
        for (uint32_t number = 0; number < journal.count; number++) {
            const Chunk *chunk = &journal.chunks[number];
            if (!chunk->is_there || chunk->is_open || chunk->is_empty) continue;
            closed++;
            live += chunk->live;
            total += chunk->total;
            if (fewest == NOWHERE || (uint64_t)chunk->live * journal.chunks[fewest].total
                                         < (uint64_t)journal.chunks[fewest].live * chunk->total)
                fewest = number;
        }
        if (closed <= UNTIDY_CHUNKS || 2 * live >= total) return;
        if (chunk_move(fewest)) {
            PyErr_Clear();
            return;
        }
    }
}

static int
is_moving(int stream)
{
    return stream == MOVED || stream == MOVED_LONG;
}

/* Room for an entry of so many lines; its position, or NOWHERE with an exception. Positions of other entries may change. */
static uint32_t
journal_room(int stream, uint32_t lines)
{
    uint32_t before = journal.open[stream];
    Chunk *chunk = before ? &journal.chunks[before - 1] : NULL;
    if (chunk == NULL || chunk->used + lines > chunk->lines) {
        if (chunk != NULL && chunk->live == 0) chunk_begin(chunk);
        else {
            if (chunk_open(stream)) return NOWHERE;
            if (before) journal.chunks[before - 1].is_open = 0;
            if (!is_moving(stream)) journal_tidy();
        }
    }
    uint32_t number = journal.open[stream] - 1;
    chunk = &journal.chunks[number];
    uint32_t position = number << CHUNK_BITS | chunk->used;
    *chunk_bits(chunk, chunk->used) |= BIT(chunk->used);
    chunk->used += lines;
    chunk->live++;
    chunk->total++;
    journal.written += lines;
    return position;
}

/* Moves the entries of a chunk that are in use to where such ones stand, and gives it back; -1 with an exception. */
static int
chunk_move(uint32_t number)
{
    int failed = 0;
    journal.chunks[number].is_open = 1; /* it stays while it is read */
    for (uint32_t line = 0; line < journal.chunks[number].used && !failed; line++) {
        uint64_t left = *chunk_bits(&journal.chunks[number], line) >> (line % 64);
        if (left == 0) line |= 63; /* none in the rest of these 64 */
        if (!(left & 1)) continue;
        uint32_t position = number << CHUNK_BITS | line;
        const PlaceHead *head = (PlaceHead *)journal_place(position);
        Ring *ring = journal.rings[head->ring];
        uint32_t lines = lines_of(head), to = journal_room(ring_is_long(ring) ? MOVED_LONG : MOVED, lines);
        if (to == NOWHERE) failed = -1;
        else {
            memcpy(journal_place(to), head, (size_t)lines * LINE);
            ring_moves(ring, head->index, to);
            *chunk_bits(&journal.chunks[number], line) &= ~BIT(line);
            journal.chunks[number].live--;
        }
    }
    journal.chunks[number].is_open = 0;
    if (journal.chunks[number].live == 0) chunk_clear(number);
    return failed;
}

/* A number for a history; 0 with an exception. */
static uint32_t
journal_enter(Ring *ring)
{
    uint32_t number = 1;
    if (journal.rings_there + 1 >= journal.ring_count) {
        if (journal.ring_count == journal.ring_room) {
            uint32_t room = journal.ring_room ? 2 * journal.ring_room : 64;
            Ring **rings = PyMem_Realloc(journal.rings, room * sizeof(Ring *));
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
    else while (journal.rings[number] != NULL) number++;
    journal.rings[number] = ring;
    journal.rings_there++;
    return number;
}

/* A history goes, and has no entries any more. With the last one goes all that is left. */
static void
journal_leave(uint32_t number)
{
    journal.rings[number] = NULL;
    if (--journal.rings_there) return;
    for (uint32_t i = 0; i < journal.count; i++)
        if (journal.chunks[i].is_there) chunk_give_back(i);
    memset(journal.open, 0, sizeof(journal.open));
    PyMem_Free(journal.chunks);
    PyMem_Free(journal.rings);
    journal.chunks = NULL;
    journal.rings = NULL;
    journal.count = journal.allocated = journal.ring_count = journal.ring_room = 0;
}
