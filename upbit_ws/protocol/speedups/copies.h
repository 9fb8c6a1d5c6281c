/* `copy_past_cache`: writing an entry into the journal. Part of module.c. */

/* Head and payload go into an aligned place, whole lines and without fetching first what is overwritten.
 *
 * Everything goes from memory of the caller into registers and from there to the place: bytes that are put together on the
 * stack can only be read back when all stores before them are done, and some of those wait for memory. */
#if (defined(__x86_64__) || defined(_M_X64)) && SIZEOF_VOID_P == 8
#include <immintrin.h>

static void
copy_in_quarters(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    __m128i *to = (__m128i *)place, *end = (__m128i *)(place + (size_t)lines_for(length) * LINE);
    int64_t time;
    memcpy(&time, &head->received_at, sizeof(time));
    _mm_stream_si128(to++, _mm_set_epi64x(head->epoch, time));
    _mm_stream_si128(to++, _mm_set_epi32((int)head->index, (int)head->ring, (int)head->is_apart, (int)head->length));
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

#if defined(__GNUC__)
/* A line at once: one that is written in quarters occupies one of the few places for lines on their way for longer, and with
 * many markets these are what everything waits for. */
__attribute__((target("avx512f,avx512bw"))) static void
copy_in_lines(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    int64_t time;
    memcpy(&time, &head->received_at, sizeof(time));
    const __m128i when = _mm_set_epi64x(head->epoch, time);
    const __m128i what = _mm_set_epi32((int)head->index, (int)head->ring, (int)head->is_apart, (int)head->length);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(when), what, 1);
    const __mmask64 all = ~(__mmask64)0;
    const size_t beside = LINE - sizeof(PlaceHead), first = length < beside ? length : beside;
    const __m512i start = _mm512_maskz_loadu_epi8(~(all << first), payload);
    _mm512_stream_si512((__m512i *)place, _mm512_inserti64x4(_mm512_castsi256_si512(both), _mm512_castsi512_si256(start), 1));
    size_t at = first;
    for (; length - at >= LINE; at += LINE) {
        place += LINE;
        _mm512_stream_si512((__m512i *)place, _mm512_loadu_si512(payload + at));
    }
    if (at == length) return;
    _mm512_stream_si512((__m512i *)(place + LINE), _mm512_maskz_loadu_epi8(~(all << (length - at)), payload + at));
}

static int can_copy_in_lines, copies_in_lines;

/* For tests: copies so, or not so, where the processor can; whether it does now. */
static PyObject *
speedups_copy_in_lines(PyObject *module, PyObject *argument)
{
    int wanted = PyObject_IsTrue(argument);
    if (wanted < 0) return NULL;
    copies_in_lines = wanted && can_copy_in_lines;
    return PyBool_FromLong(copies_in_lines);
}

static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    (copies_in_lines ? copy_in_lines : copy_in_quarters)(place, head, payload, length);
}
#define HAS_COPY_IN_LINES
#else
#define copy_past_cache copy_in_quarters
#endif
#else

static void
copy_past_cache(char *place, const PlaceHead *head, const char *payload, size_t length)
{
    memcpy(place, head, sizeof(PlaceHead));
    memcpy(place + sizeof(PlaceHead), payload, length);
}

#define STREAM_END() ((void)0)
#endif
