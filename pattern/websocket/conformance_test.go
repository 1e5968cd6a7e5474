package websocket

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// requirement is one sentence of a specification: what a client sends, and all
// that an echo server must answer. Where in does not end the connection itself, a
// close of 1000 follows it.
type requirement struct {
	section string
	rule    string
	in      []byte
	want    []string
}

const bye = "close 1000"

func (q requirement) run(t *testing.T, o Options) {
	t.Run(strings.ReplaceAll(q.section+" "+q.rule, " ", "_"), func(t *testing.T) {
		for _, buffer := range []int{1 << 20, 61, 1} {
			if buffer < 61 && len(q.in) > 4<<10 {
				continue // a byte at a time says nothing new about long ones
			}
			if got := converse(t, buffer, o, q.in); !slices.Equal(got, q.want) {
				t.Errorf("%s: %s\nwith %d bytes under way\n got %q\nwant %q", q.section, q.rule, buffer, got, q.want)
			}
		}
	})
}

func TestFraming(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte("*"), n) }
	// raw puts a head of any kind before a masked payload.
	raw := func(head ...byte) []byte { return append(head, testKey[:]...) }
	rows := []requirement{
		{"6455 5.2", "length 0", maskedString(0x81, ""), []string{"text", bye}},
		{"6455 5.2", "length 1", maskedString(0x81, "a"), []string{"text a", bye}},
		{"6455 5.2", "length 125", masked(0x82, long(125)), []string{"binary [125]", bye}},
		{"6455 5.2", "length 126", masked(0x82, long(126)), []string{"binary [126]", bye}},
		{"6455 5.2", "length 127", masked(0x82, long(127)), []string{"binary [127]", bye}},
		{"6455 5.2", "length 65535", masked(0x82, long(65535)), []string{"binary [65535]", bye}},
		{"6455 5.2", "length 65536", masked(0x82, long(65536)), []string{"binary [65536]", bye}},
		{"6455 5.2", "length over the limit is 1009 before the payload", raw(0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1), []string{"close 1009"}},
		{"6455 5.2", "length of almost 2^63 is 1009 at once", raw(0x82, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255), []string{"close 1009"}},
		{"6455 5.2", "length with its highest bit", raw(0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1), []string{"close 1002"}},
		{"6455 5.2", "125 in three bytes", raw(0x82, 0xFE, 0, 125), []string{"close 1002"}},
		{"6455 5.2", "65535 in nine bytes", raw(0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255), []string{"close 1002"}},
		{"6455 5.2", "RSV1 without extension", maskedString(0xC1, "a"), []string{"close 1002"}},
		{"6455 5.2", "RSV2", maskedString(0xA1, "a"), []string{"close 1002"}},
		{"6455 5.2", "RSV3", maskedString(0x91, "a"), []string{"close 1002"}},
		{"6455 5.2", "RSV1 on ping", maskedString(0xC9, ""), []string{"close 1002"}},
		{"6455 5.1", "unmasked text", []byte{0x81, 1, 'a'}, []string{"close 1002"}},
		{"6455 5.1", "unmasked empty ping", []byte{0x89, 0}, []string{"close 1002"}},
		{"6455 5.2", "what came before a violation is answered", join(maskedString(0x81, "a"), maskedString(0x83, "")), []string{"text a", "close 1002"}},
		{"6455 5.2", "two bytes are enough to refuse", []byte{0x83, 0x80}, []string{"close 1002"}},
		{"6455 5.5", "control of 125 bytes", masked(0x89, long(125)), []string{"pong [125]", bye}},
		{"6455 5.5", "ping of 126 bytes", masked(0x89, long(126)), []string{"close 1002"}},
		{"6455 5.5", "close of 126 bytes", masked(0x88, long(126)), []string{"close 1002"}},
		{"6455 5.5", "fragmented ping", maskedString(0x09, ""), []string{"close 1002"}},
		{"6455 5.5", "fragmented close", maskedString(0x08, ""), []string{"close 1002"}},
		{"6455 5.5.2", "ping without payload", maskedString(0x89, ""), []string{"pong", bye}},
		{"6455 5.5.3", "pong has the ping's payload", maskedString(0x89, "\x00\xFF!"), []string{"pong \x00\xFF!", bye}},
		{"6455 5.5.3", "each ping is answered in order", join(maskedString(0x89, "1"), maskedString(0x89, "2"), maskedString(0x89, "3")), []string{"pong 1", "pong 2", "pong 3", bye}},
		{"6455 5.5.3", "unasked pong is no fault", maskedString(0x8A, "hm"), []string{bye}},
	}
	for op := range byte(16) {
		if !Opcode(op).known() {
			rows = append(rows, requirement{"6455 5.2", fmt.Sprintf("reserved opcode %d", op), maskedString(0x80|op, ""), []string{"close 1002"}})
		}
	}
	for _, q := range rows {
		q.run(t, Options{})
	}
}

func TestFragmentation(t *testing.T) {
	many := func(n int) (in []byte) {
		in = maskedString(0x01, "")
		for range n - 2 {
			in = append(in, maskedString(0x00, "")...)
		}
		return append(in, maskedString(0x80, "x")...)
	}
	for _, q := range []requirement{
		{"6455 5.4", "two fragments", join(maskedString(0x01, "ab"), maskedString(0x80, "cd")), []string{"text abcd", bye}},
		{"6455 5.4", "three, the middle one empty", join(maskedString(0x02, "ab"), maskedString(0x00, ""), maskedString(0x80, "cd")), []string{"binary abcd", bye}},
		{"6455 5.4", "all empty", join(maskedString(0x01, ""), maskedString(0x00, ""), maskedString(0x80, "")), []string{"text", bye}},
		{"6455 5.4", "ping between fragments", join(maskedString(0x01, "ab"), maskedString(0x89, "p"), maskedString(0x80, "cd")), []string{"pong p", "text abcd", bye}},
		{"6455 5.4", "pong between fragments", join(maskedString(0x01, "ab"), maskedString(0x8A, "p"), maskedString(0x80, "cd")), []string{"text abcd", bye}},
		{"6455 5.4", "close between fragments", join(maskedString(0x01, "ab"), closing(1001, "")), []string{"close 1001"}},
		{"6455 5.4", "text inside a message", join(maskedString(0x01, "ab"), maskedString(0x81, "cd")), []string{"close 1002"}},
		{"6455 5.4", "binary inside a message", join(maskedString(0x01, "ab"), maskedString(0x02, "cd")), []string{"close 1002"}},
		{"6455 5.4", "continuation of nothing", maskedString(0x80, "ab"), []string{"close 1002"}},
		{"6455 5.4", "unfinished continuation of nothing", maskedString(0x00, "ab"), []string{"close 1002"}},
		{"6455 5.4", "continuation after the end", join(maskedString(0x81, "ab"), maskedString(0x80, "cd")), []string{"text ab", "close 1002"}},
		{"6455 5.4", "two messages, each fragmented", join(maskedString(0x01, "a"), maskedString(0x80, "b"), maskedString(0x02, "c"), maskedString(0x80, "d")), []string{"text ab", "binary cd", bye}},
		{"6455 10.4", "as many fragments as allowed", many(8), []string{"text x", bye}},
		{"6455 10.4", "one fragment more", many(9), []string{"close 1008"}},
		{"6455 10.4", "fragments together over the limit", join(masked(0x02, make([]byte, 60)), masked(0x80, make([]byte, 41))), []string{"close 1009"}},
		{"6455 10.4", "fragments together at the limit", join(masked(0x02, make([]byte, 60)), masked(0x80, make([]byte, 40))), []string{"binary [100]", bye}},
	} {
		q.run(t, Options{MaxFragments: 8, MaxMessage: 100})
	}
}

func TestClosing(t *testing.T) {
	rows := []requirement{
		{"6455 5.5.1", "empty close is answered by an empty one", maskedString(0x88, ""), []string{"close"}},
		{"6455 5.5.1", "half a code", maskedString(0x88, "\x03"), []string{"close 1002"}},
		{"6455 5.5.1", "code and reason", closing(1000, "bye"), []string{"close 1000"}},
		{"6455 5.5.1", "reason of 123 bytes", closing(1000, strings.Repeat("a", 123)), []string{"close 1000"}},
		{"6455 5.5.1", "reason that is not UTF-8", closing(1000, "\xFF"), []string{"close 1007"}},
		{"6455 5.5.1", "reason that ends inside a character", closing(1000, "\xE2\x82"), []string{"close 1007"}},
		{"6455 5.5.1", "nothing is answered after a close", join(closing(1000, ""), maskedString(0x81, "late"), maskedString(0x89, "late")), []string{"close 1000"}},
		{"6455 5.5.1", "a second close is not answered", join(closing(1000, ""), closing(1001, "")), []string{"close 1000"}},
		{"6455 5.5.1", "what came before a close is answered", join(maskedString(0x81, "a"), closing(1001, "")), []string{"text a", "close 1001"}},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999} {
		rows = append(rows, requirement{"6455 7.4", fmt.Sprintf("code %d is echoed", code), closing(code, "x"), []string{fmt.Sprintf("close %d", code)}})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		rows = append(rows, requirement{"6455 7.4", fmt.Sprintf("code %d is a violation", code), closing(code, "x"), []string{"close 1002"}})
	}
	for _, q := range rows {
		q.run(t, Options{})
	}
}

// textRow is a piece of text and the index of the first byte that no valid text
// could have there: -1 if it is valid, its length if it only lacks its end. The
// rows follow the Unicode Standard, table 3-7.
type textRow struct {
	name  string
	bytes string
	bad   int
}

var textRows = []textRow{
	{"ASCII", "plain\x00\x7F", -1},
	{"first and last of two bytes", "\xC2\x80\xDF\xBF", -1},
	{"first and last of three bytes", "\xE0\xA0\x80\xEF\xBF\xBF", -1},
	{"around the surrogates", "\xED\x9F\xBF\xEE\x80\x80", -1},
	{"first and last of four bytes", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", -1},
	{"non-characters are characters", "\xEF\xBF\xBE\xEF\xB7\x90\xF0\x9F\xBF\xBE", -1},
	{"byte order mark and replacement", "\xEF\xBB\xBFa\xEF\xBF\xBD", -1},
	{"long and mixed", strings.Repeat("Grüße, 世界 🌍! ", 20), -1},
	{"stray continuation", "abc\x80", 3},
	{"stray last continuation", "abc\xBFdef", 3},
	{"C0 is overlong", "\xC0\xAF", 0},
	{"C1 is overlong", "a\xC1\xBF", 1},
	{"three bytes, overlong slash", "\xE0\x80\xAF", 1},
	{"three bytes, last overlong", "\xE0\x9F\xBF", 1},
	{"four bytes, overlong slash", "\xF0\x80\x80\xAF", 1},
	{"four bytes, last overlong", "\xF0\x8F\xBF\xBF", 1},
	{"first surrogate", "\xED\xA0\x80", 1},
	{"last surrogate", "\xED\xBF\xBF", 1},
	{"a pair of surrogates", "\xED\xA0\xBD\xED\xB8\x80", 1},
	{"first beyond U+10FFFF", "\xF4\x90\x80\x80", 1},
	{"F5", "ok\xF5\x80\x80\x80", 2},
	{"five bytes", "\xF8\x88\x80\x80\x80", 0},
	{"six bytes", "\xFC\x84\x80\x80\x80\x80", 0},
	{"FE", "\xFE", 0},
	{"FF", "a\xFF", 1},
	{"two bytes cut by ASCII", "\xC3a", 1},
	{"three bytes cut by ASCII", "\xE2\x82a", 2},
	{"four bytes cut by ASCII", "\xF0\x9F\x8Ca", 3},
	{"cut by another first byte", "\xE2\x82\xC3\xA9", 2},
	{"two bytes without their end", "aaaaaaaaa\xC3", 10},
	{"three bytes without their end", "\xE2\x82", 2},
	{"four bytes without their end", "é\xF0\x9F\x8C", 5},
	{"invalid after a long run", strings.Repeat("x", 100) + "\xC0" + strings.Repeat("x", 100), 100},
}

func TestText(t *testing.T) {
	for _, row := range textRows {
		whole := maskedString(0x81, row.bytes)
		split := maskedString(0x01, row.bytes[:len(row.bytes)/2])
		split = join(split, maskedString(0x89, ""), maskedString(0x80, row.bytes[len(row.bytes)/2:]))
		want, wantSplit := []string{describe(0x81, []byte(row.bytes)), bye}, []string{"pong", describe(0x81, []byte(row.bytes)), bye}
		if row.bad >= 0 {
			want = []string{"close 1007"}
			wantSplit = []string{"pong", "close 1007"}
			if row.bad < len(row.bytes)/2 {
				wantSplit = want // it fails before the ping is read
			}
		}
		requirement{"6455 8.1", row.name, whole, want}.run(t, Options{})
		requirement{"6455 8.1", row.name + ", in fragments", split, wantSplit}.run(t, Options{})
		requirement{"6455 5.6", row.name + ", as binary", maskedString(0x82, row.bytes), []string{describe(0x82, []byte(row.bytes)), bye}}.run(t, Options{})
	}
}

// A text that cannot become valid fails at the very byte, however the frames and
// the reads are cut: the rest of the message has not even been sent.
func TestTextFailsAtTheFirstBadByte(t *testing.T) {
	for _, row := range textRows {
		if row.bad < 0 || row.bad == len(row.bytes) {
			continue
		}
		var head [maxHeader]byte
		start := Header{Opcode: Text, Masked: true, Length: 1000}.AppendTo(head[:0])
		for step := 1; step <= 9; step++ {
			r := receiver{maxMessage: 1 << 16, maxFragments: 10}
			if _, _, err := r.feed(bytes.Clone(start)); err != nil {
				t.Fatal(err)
			}
			failed := -1
			for i := 0; i < len(row.bytes) && failed < 0; i += step {
				_, _, err := r.feed([]byte(row.bytes[i:min(i+step, len(row.bytes))]))
				if CloseCodeOf(err) == CloseInvalid {
					failed = i
				}
			}
			if want := row.bad / step * step; failed != want {
				t.Errorf("6455 8.1, %s, %d bytes at a time: failed in the piece at %d, want %d", row.name, step, failed, want)
			}
		}
	}
}

func TestCompression(t *testing.T) {
	hello := squeeze([]byte("Hello"))
	zeros := squeeze(make([]byte, 1<<20))
	noise := make([]byte, 4<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	atLimit := squeeze(noise)
	for _, q := range []requirement{
		{"7692 7.2.3.1", "one block", masked(0xC1, []byte{0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}), []string{"text Hello", bye}},
		{"7692 7.2.3.1", "in two fragments, RSV1 on the first only", join(masked(0x41, []byte{0xF2, 0x48, 0xCD}), masked(0x80, []byte{0xC9, 0xC9, 0x07, 0x00})), []string{"text Hello", bye}},
		{"7692 7.2.3.3", "a block without compression", masked(0xC1, []byte{0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00}), []string{"text Hello", bye}},
		{"7692 7.2.3.4", "a block with BFINAL", masked(0xC1, []byte{0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00}), []string{"text Hello", bye}},
		{"7692 7.2.3.5", "two blocks in one message", masked(0xC1, []byte{0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00}), []string{"text Hello", bye}},
		{"7692 7.2.3.6", "empty message", masked(0xC1, []byte{0x00}), []string{"text", bye}},
		{"7692 7.2.2", "no payload at all is no DEFLATE data", masked(0xC1, nil), []string{"close 1007"}},
		{"7692 6", "an uncompressed message is allowed", maskedString(0x81, "plain"), []string{"text plain", bye}},
		{"7692 6.1", "RSV1 on a continuation", join(masked(0x41, hello[:3]), masked(0xC0, hello[3:])), []string{"close 1002"}},
		{"7692 6", "RSV1 on a ping", masked(0xC9, nil), []string{"close 1002"}},
		{"7692 6", "RSV2", masked(0xA1, hello), []string{"close 1002"}},
		{"7692 6", "control frames between compressed fragments", join(masked(0x41, hello[:2]), maskedString(0x89, "p"), masked(0x00, hello[2:4]), maskedString(0x8A, "q"), masked(0x80, hello[4:])), []string{"pong p", "text Hello", bye}},
		{"7692 7.1.1", "each message starts afresh", join(masked(0xC1, hello), maskedString(0x89, "p"), masked(0xC1, hello)), []string{"text Hello", "pong p", "text Hello", bye}},
		{"7692 7.2.2", "garbage", masked(0xC1, []byte{0xFF, 0xFF, 0xFF}), []string{"close 1007"}},
		{"7692 7.2.2", "cut in the middle of a block", masked(0xC2, atLimit[:100]), []string{"close 1007"}},
		{"7692 7.2.2", "reference to before the message", masked(0xC2, []byte{0x02, 0x02, 0x00}), []string{"close 1007"}},
		{"6455 8.1", "inflated text is not UTF-8", masked(0xC1, squeeze([]byte("\xC0\xAF"))), []string{"close 1007"}},
		{"6455 8.1", "inflated text ends inside a character", masked(0xC1, squeeze([]byte("\xE2\x82"))), []string{"close 1007"}},
		{"7692 8", "a bomb stops at the limit", masked(0xC2, zeros), []string{"close 1009"}},
		{"7692 8", "noise of exactly the limit", masked(0xC2, atLimit), []string{"binary [4096]", bye}},
		{"7692 8", "one byte over the limit", masked(0xC2, squeeze(append(bytes.Clone(noise), 0))), []string{"close 1009"}},
		{"7692 8", "compressible answer is compressed", masked(0xC2, squeeze(make([]byte, 4<<10))), []string{"compressed binary [4096]", bye}},
		{"7692 8", "endless final blocks", masked(0xC2, bytes.Repeat([]byte{0x03, 0x00}, 1000)), []string{"close 1007"}},
	} {
		q.run(t, Options{Compression: true, MaxMessage: 4 << 10})
	}
}

// After a block with BFINAL the window goes on: the next block may refer to it.
func TestBlocksAfterAFinalOneSeeTheWindow(t *testing.T) {
	// A final stored block "abc", then a fixed block that copies three bytes
	// from three bytes back: bits 0 01, length symbol 257 (0000001), distance
	// symbol 2 (00010), end (0000000).
	in := []byte{0x01, 3, 0, 0xFC, 0xFF, 'a', 'b', 'c', 0x02, 0x22, 0x00, 0x00}
	if got := converse(t, 1<<20, Options{Compression: true}, masked(0xC1, in)); !slices.Equal(got, []string{"text abcabc", bye}) {
		t.Errorf("7692 7.2.3.4: got %q", got)
	}
}
