package parley_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// one is a record as the tests draw it, and as another implementation sees it.
type one struct {
	millis     int64
	key, value []byte
	headers    []parley.Header
}

var genBytes = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 40))

var genOnes = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) one {
	o := one{
		millis: rapid.Int64Range(-1<<40, 1<<45).Draw(t, "millis"),
		key:    genBytes.Draw(t, "key"), value: genBytes.Draw(t, "value"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		o.headers = append(o.headers, parley.Header{Name: rapid.StringN(0, 9, -1).Draw(t, "name"), Value: genBytes.Draw(t, "value of it")})
	}
	return o
}), 1, 6)

var genCodec = rapid.SampledFrom([]parley.Codec{parley.None, parley.Gzip})

// What we encode, an independent implementation of the format decodes.
func TestOthersReadOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, b := genOnes.Draw(t, "records"), parley.Builder{Codec: genCodec.Draw(t, "codec")}
		for _, o := range want {
			if err := b.AddRecord(time.UnixMilli(o.millis), o.key, o.value, o.headers...); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		encoded := bytes.Clone(batch.Bytes())
		parley.SetBase(encoded, 1234, 7)

		var theirs kmsg.RecordBatch
		if err := theirs.ReadFrom(encoded); err != nil {
			t.Fatal(err)
		}
		if theirs.FirstOffset != 1234 || theirs.PartitionLeaderEpoch != 7 || theirs.Magic != 2 || theirs.ProducerID != -1 || theirs.ProducerEpoch != -1 || theirs.FirstSequence != -1 {
			t.Fatalf("header is read as %+v", theirs)
		}
		if int(theirs.Length) != len(encoded)-12 || int(theirs.NumRecords) != len(want) || int(theirs.LastOffsetDelta) != len(want)-1 {
			t.Fatalf("sizes are read as %+v", theirs)
		}
		if uint32(theirs.CRC) != crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli)) {
			t.Fatalf("CRC is %08x", theirs.CRC)
		}
		body := theirs.Records
		if theirs.Attributes&7 == 1 {
			body = gunzip(t, body)
		}
		latest := want[0].millis
		for i, o := range want {
			got := cutTheirs(t, &body)
			latest = max(latest, o.millis)
			if int(got.OffsetDelta) != i || theirs.FirstTimestamp+got.TimestampDelta64 != o.millis {
				t.Fatalf("record %d is read at +%d with time %d, want %d", i, got.OffsetDelta, theirs.FirstTimestamp+got.TimestampDelta64, o.millis)
			}
			sameBytes(t, "key", got.Key, o.key)
			sameBytes(t, "value", got.Value, o.value)
			if len(got.Headers) != len(o.headers) {
				t.Fatalf("record %d has %d headers", i, len(got.Headers))
			}
			for j, h := range got.Headers {
				if h.Key != o.headers[j].Name {
					t.Fatalf("header is %q", h.Key)
				}
				sameBytes(t, "header", h.Value, o.headers[j].Value)
			}
		}
		if len(body) > 0 || theirs.MaxTimestamp != latest {
			t.Fatalf("%d bytes left over, latest time %d, want %d", len(body), theirs.MaxTimestamp, latest)
		}
	})
}

// What the other implementation encodes, we decode.
func TestWeReadOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, codec := genOnes.Draw(t, "records"), genCodec.Draw(t, "codec")
		batch, err := parley.ParseBatch(theirBatch(want, codec))
		if err != nil {
			t.Fatal(err)
		}
		if batch.Base() != 100 || batch.Next() != 100+parley.Position(len(want)) || batch.Len() != len(want) || batch.Span() != len(want) || batch.Epoch() != 3 || batch.Codec() != codec {
			t.Fatalf("base %d, next %d, len %d, epoch %d, codec %s", batch.Base(), batch.Next(), batch.Len(), batch.Epoch(), batch.Codec())
		}
		if id, epoch, seq := batch.Producer(); id != 55 || epoch != 2 || seq != 9 {
			t.Fatalf("producer %d %d %d", id, epoch, seq)
		}
		i := 0
		for rec, err := range batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			o := want[i]
			if rec.Position != 100+parley.Position(i) || rec.Millis != o.millis || !rec.Time().Equal(time.UnixMilli(o.millis)) {
				t.Fatalf("record %d is at %d, %d", i, rec.Position, rec.Millis)
			}
			sameBytes(t, "key", rec.Key, o.key)
			sameBytes(t, "value", rec.Value, o.value)
			j := 0
			for name, value := range rec.Headers() {
				if name != o.headers[j].Name {
					t.Fatalf("header is %q", name)
				}
				sameBytes(t, "header", value, o.headers[j].Value)
				first := slices.IndexFunc(o.headers, func(h parley.Header) bool { return h.Name == name })
				if v, ok := rec.Header(name); !ok || !bytes.Equal(v, o.headers[first].Value) {
					t.Fatalf("Header(%q) is %q, %t", name, v, ok)
				}
				j++
			}
			if j != len(o.headers) {
				t.Fatalf("%d of %d headers", j, len(o.headers))
			}
			if _, ok := rec.Header("\xff none"); ok {
				t.Fatal("a header that is not there was found")
			}
			i++
		}
		if i != len(want) {
			t.Fatalf("%d of %d records", i, len(want))
		}
	})
}

// theirBatch encodes with the other implementation: base 100, epoch 3, a
// producer.
func theirBatch(records []one, codec parley.Codec) []byte {
	b := kmsg.RecordBatch{
		FirstOffset: 100, PartitionLeaderEpoch: 3, Magic: 2, Attributes: int16(codec), LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: records[0].millis, MaxTimestamp: records[0].millis, ProducerID: 55, ProducerEpoch: 2, FirstSequence: 9, NumRecords: int32(len(records)),
	}
	for i, o := range records {
		r := kmsg.Record{TimestampDelta64: o.millis - b.FirstTimestamp, OffsetDelta: int32(i), Key: o.key, Value: o.value}
		for _, h := range o.headers {
			r.Headers = append(r.Headers, kmsg.Header{Key: h.Name, Value: h.Value})
		}
		withoutLength := r.AppendTo(nil)
		r.Length = int32(len(withoutLength) - 1) // it was written as one byte: 0
		b.Records = r.AppendTo(b.Records)
		b.MaxTimestamp = max(b.MaxTimestamp, o.millis)
	}
	if codec == parley.Gzip {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(b.Records)
		_ = w.Close()
		b.Records = packed.Bytes()
	}
	encoded := b.AppendTo(nil)
	binary.BigEndian.PutUint32(encoded[8:], uint32(len(encoded)-12))
	reseal(encoded)
	return encoded
}

// reseal sets the CRC to what the bytes are.
func reseal(encoded []byte) {
	binary.BigEndian.PutUint32(encoded[17:], crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli)))
}

func cutTheirs(t *rapid.T, body *[]byte) kmsg.Record {
	size, n := binary.Varint(*body)
	if n <= 0 || int(size)+n > len(*body) {
		t.Fatalf("record of %d bytes with %d left", size, len(*body))
	}
	var r kmsg.Record
	if err := r.ReadFrom((*body)[:int(size)+n]); err != nil {
		t.Fatal(err)
	}
	*body = (*body)[int(size)+n:]
	return r
}

func gunzip(t *rapid.T, b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameBytes(t *rapid.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s is %q (nil: %t), want %q (nil: %t)", what, got, got == nil, want, want == nil)
	}
}

// One batch, written down by hand from the format's description.
func TestBatchGolden(t *testing.T) {
	batch, err := parley.NewBatch(time.UnixMilli(0x0102030405), parley.Event{ID: "i", Source: "/", Type: "t", Data: []byte("d"), Extensions: map[string]string{"partitionkey": "k"}})
	if err != nil {
		t.Fatal(err)
	}
	record := "\x00\x00\x00" + "\x02k" + "\x02d" + "\x0a" + // attributes, deltas, key, value, five headers
		"\x1cce_specversion\x061.0" + "\x0ace_id\x02i" + "\x12ce_source\x02/" + "\x0ece_type\x02t" + "\x1ece_partitionkey\x02k"
	body := string(binary.AppendVarint(nil, int64(len(record)))) + record
	want := "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00" + string([]byte{byte(49 + len(body))}) + "\x00\x00\x00\x00" + "\x02" + "CCCC" +
		"\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01\x02\x03\x04\x05" + "\x00\x00\x00\x01\x02\x03\x04\x05" +
		strings.Repeat("\xff", 8+2+4) + "\x00\x00\x00\x01" + body
	got := bytes.Clone(batch.Bytes())
	copy(got[17:21], "CCCC")
	if string(got) != want {
		t.Errorf("batch is\n%q, want\n%q", got, want)
	}
}

func TestBatchRefused(t *testing.T) {
	valid := theirBatch([]one{{millis: 1, value: []byte("abc"), headers: []parley.Header{{Name: "h", Value: []byte("v")}}}, {millis: 2}}, parley.None)
	for _, c := range []struct {
		rule   string
		change func(b []byte) []byte
		code   parley.Code
	}{
		{"empty", func(b []byte) []byte { return nil }, parley.Damaged},
		{"shorter than a header", func(b []byte) []byte { return b[:60] }, parley.Damaged},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }, parley.Damaged},
		{"bytes after it", func(b []byte) []byte { return append(b, 0) }, parley.Damaged},
		{"an older format", func(b []byte) []byte { b[16] = 1; return b }, parley.Unsupported},
		{"a negative length", func(b []byte) []byte { b[8] = 0x80; return b }, parley.Damaged},
		{"a length of gigabytes", func(b []byte) []byte { b[8] = 0x7f; return b }, parley.Damaged},
		{"more records than positions", func(b []byte) []byte { b[60] = 3; return b }, parley.Damaged},
		{"more records than allowed", func(b []byte) []byte { b[58], b[24] = 2, 2; return b }, parley.Damaged},
		{"a negative count", func(b []byte) []byte { b[57] = 0x80; return b }, parley.Damaged},
		{"a negative position", func(b []byte) []byte { b[0] = 0x80; return b }, parley.Damaged},
		{"a position that has no next", func(b []byte) []byte { copy(b, "\x7f\xff\xff\xff\xff\xff\xff\xff"); return b }, parley.Damaged},
		{"a changed byte", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, parley.Damaged},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b := c.change(bytes.Clone(valid))
			if len(b) >= 61 && c.rule != "a changed byte" {
				reseal(b) // so that the CRC is not what is found
			}
			if _, err := parley.ParseBatch(b); parley.CodeOf(err) != c.code || err == nil {
				t.Errorf("error is %v, want %s", err, c.code)
			}
		})
	}
}

// A batch whose CRC holds may still have records that do not.
func TestRecordsRefused(t *testing.T) {
	valid := theirBatch([]one{{millis: 1, value: []byte("abc"), headers: []parley.Header{{Name: "h", Value: []byte("v")}}}, {millis: 2}}, parley.None)
	at := func(i int, v byte) func([]byte) []byte { return func(b []byte) []byte { b[61+i] = v; return b } }
	for _, c := range []struct {
		rule   string
		change func(b []byte) []byte
		code   parley.Code
	}{
		{"length beyond the end", at(0, 0x7e), parley.Damaged},
		{"length 0", at(0, 0), parley.Damaged},
		{"negative length", at(0, 1), parley.Damaged},
		{"position delta before the first", at(3, 1), parley.Damaged},
		{"position delta twice", at(3, 2), parley.Damaged},
		{"position delta beyond the last", at(3, 4), parley.Damaged},
		{"key length −2", at(4, 3), parley.Damaged},
		{"value longer than the record", at(5, 0x7e), parley.Damaged},
		{"too many headers", at(9, 4), parley.Damaged},
		{"too few headers", at(9, 0), parley.Damaged},
		{"a header without a name", func(b []byte) []byte { b[61] -= 2; b[61+10] = 1; return append(b[:61+11], b[61+12:]...) }, parley.Damaged},
		{"fewer records than there are", func(b []byte) []byte { b[60] = 1; return b }, parley.Damaged},
		{"a codec that nobody registered", func(b []byte) []byte { b[22] = 7; return b }, parley.Unsupported},
		{"gzip that is none", func(b []byte) []byte { b[22] = 1; return b }, parley.Damaged},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b := c.change(bytes.Clone(valid))
			binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
			reseal(b)
			batch, err := parley.ParseBatch(b)
			if err != nil {
				t.Fatalf("refused before its records were looked at: %v", err)
			}
			var last error
			for _, err := range batch.Records() {
				last = err
			}
			if parley.CodeOf(last) != c.code || last == nil {
				t.Errorf("the walk ends with %v, want %s", last, c.code)
			}
		})
	}
}

// Few bytes must not become many.
func TestDecompressionIsBounded(t *testing.T) {
	b := theirBatch([]one{{value: make([]byte, parley.MaxDecompressed)}}, parley.Gzip)
	if len(b) > 1<<17 {
		t.Fatalf("the bomb has %d bytes", len(b))
	}
	batch, err := parley.ParseBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range batch.Records() {
		if parley.CodeOf(err) != parley.TooLarge {
			t.Fatalf("error is %v", err)
		}
	}
}
