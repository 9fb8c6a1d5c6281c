/* Memory for what there is one of per market: histories, windows of ids, tables. Part of module.c. */

#define LINE 64 /* bytes that the processor fetches at once */
#define PAIR (2 * LINE) /* of two lines that stand in one of these, it fetches the second along with the first */

static void *
next_pair(void *at)
{
    return (void *)(((uintptr_t)at + PAIR - 1) & ~(uintptr_t)(PAIR - 1));
}

static size_t
whole_lines(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* With many markets each message writes to pages that were last used thousands of messages ago, and finding out where a
 * page of 4 KiB lies then costs more than writing to it. So once more than LAND_FROM bytes are in use, blocks come from
 * *fields* of 2 MiB, for which the system is asked for one large page each. A field has blocks of one size, and goes back
 * to the system when none of them is in use. */

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>

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

static Field *fields_with_room, *spare_field;
static size_t land_in_use;

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
field_begin(Field *field, size_t size)
{
    memset(field, 0, sizeof(Field));
    field->size = size;
    field->untouched = whole_lines(sizeof(Field));
    field_link(field);
    return field;
}

static Field *
field_new(size_t size)
{
    if (spare_field != NULL) {
        Field *field = spare_field;
        spare_field = NULL;
        return field_begin(field, size);
    }
    char *mapped = mmap(NULL, 2 * FIELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    char *at = (char *)(((uintptr_t)mapped + FIELD - 1) & ~(uintptr_t)(FIELD - 1));
    if (at > mapped) munmap(mapped, at - mapped);
    munmap(at + FIELD, mapped + FIELD - at);
#ifdef MADV_HUGEPAGE
    madvise(at, FIELD, MADV_HUGEPAGE); /* where there are none, small ones do */
#endif
    return field_begin((Field *)at, size);
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
        if (spare_field == NULL) spare_field = field; /* clearing a new one takes the system longer than filling it takes us */
        else munmap(field, FIELD);
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
        size_t size = whole_lines(count * each);
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

/* All of it will be written to soon. Having the pages at once costs a third of having each when it is first touched. */
static void
land_populate(const Land *land)
{
#if defined(__linux__) && defined(MADV_POPULATE_WRITE)
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)land->block + land->size;
    const uintptr_t from = ((uintptr_t)land->block + page - 1) & ~(page - 1), to = end & ~(page - 1);
    /* A field has large pages. An older system does not know this, and goes on as before. */
    if (!land->is_on_field && to > from) madvise((void *)from, to - from, MADV_POPULATE_WRITE);
#else
    (void)land;
#endif
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
#if defined(__linux__)
    if (land_in_use == 0 && spare_field != NULL) {
        munmap(spare_field, FIELD);
        spare_field = NULL;
    }
#endif
    land->block = NULL;
    land->start = NULL;
}
