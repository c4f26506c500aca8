package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"greenlane/tiering"
)

const at = 1_700_000_000_000

func options(t testing.TB) Options {
	t.Helper()
	z, err := tiering.NewNormalizer("CN")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Normalizer: z, At: at}
}

// read reads everything, in a transcript: a line for each change and fault.
func read(t testing.TB, text string, o Options) (lines []string, end Position) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Read(context.Background(), r.Start(), func(b *Batch) error {
		for _, c := range b.Changes {
			if c.Op != tiering.OpGrade || c.At != at {
				t.Errorf("%+v is no grade at the instant", c)
			}
			lines = append(lines, fmt.Sprintf("%s %v %d %d %s", c.Number, c.Tier, c.Ends, c.Flags, c.Note))
		}
		for _, f := range b.Faults {
			lines = append(lines, f.Error())
		}
		end = b.End
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, end
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(strings.TrimSpace(got[i]), want[i]) {
			t.Errorf("line %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

func TestCSV(t *testing.T) {
	got, end := read(t, "\uFEFFtier,note,number,ends,flags\r\n"+
		"vip,,13800138000,,\r\n"+
		"\n"+
		"MID,\"a \"\"b\"\", c\",+86 139 0013 9000,2027-01-01T00:00:00Z,255\n"+
		"ordinary,x,13800138000,2027-01-01,7", options(t))
	same(t, got, "+8613800138000 vip 0 0", `+8613900139000 mid 1798761600000 255 a "b", c`, "+8613800138000 ordinary 1798761600000 7 x")
	if end.Line != 5 {
		t.Errorf("%d lines were read", end.Line)
	}
	o := options(t)
	o.Zone = time.FixedZone("east", 8*3600)
	o.Delimiter, o.Ignore, o.Names = ';', true, map[string]string{Number: "Phone", Tier: "level"}
	got, _ = read(t, "id;phone;LEVEL;ends\n1;13800138000;vip;2027-01-01\n", o)
	same(t, got, "+8613800138000 vip 1798732800000 0")
}

func TestFaultsOfCSV(t *testing.T) {
	text := "number,tier,ends,flags,note\n" + strings.Join([]string{
		"13800138000,gold,,,", "12345,vip,,,", "anonymous,vip,,,", "13800138000,vip,soon,,", "13800138000,vip,,256,",
		"13800138000,vip", "13800138000,vip,,,\"open", "13800138000,vip,,,a\"b", "13800138000,vip,,,\xff", "13800138000,mid,,,ok",
		"13800138000,vip,,," + strings.Repeat("n", 501), strings.Repeat("y", MaxLine+1), "13800138000,ordinary,,,ok",
		strings.Repeat("z", 3*blockSize), "13800138000,blacklist,,,ok",
	}, "\n")
	o := options(t)
	want := []string{
		`line 2, column 13: tier: tier "gold" is unknown`, "line 3, column 1: number: ", "line 4, column 1: number: ",
		"line 5, column 17: ends: an instant", "line 6, column 18: flags: a whole number", "line 7: it has 2 fields, and the header 5",
		"line 8, column", "line 9, column", "line 10: not a directory entry: note is not UTF-8",
		"line 12: not a directory entry: note has 501 bytes", "line 13: it is longer", "line 15: it is longer",
	}
	got, end := read(t, text, o)
	var faults, good []string
	for _, line := range got {
		if strings.HasPrefix(line, "line") {
			faults = append(faults, line)
		} else {
			good = append(good, line)
		}
		if strings.Contains(line, "12345") {
			t.Errorf("a number is shown: %s", line)
		}
	}
	same(t, faults, want...)
	same(t, good, "+8613800138000 mid 0 0 ok", "+8613800138000 ordinary 0 0 ok", "+8613800138000 blacklist 0 0 ok")
	if end.Line != 16 || end.Offset != int64(len(text)) {
		t.Errorf("it ends at %+v, want line 16 and byte %d", end, len(text))
	}
}

func TestHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "must name the columns",
		"phone,tier\n":               `no column is named "number"`,
		"number\n":                   `no column is named "tier"`,
		"number,tier,expires\n":      `"expires" is unknown`,
		"number,tier,Number\n":       "stands there twice",
		"number;tier\n":              `"number;tier" is unknown`,
		"\"number,tier\n":            "must name the columns",
		strings.Repeat("x", MaxLine): "longer than",
	} {
		if _, err := NewReader(strings.NewReader(text), options(t)); !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestJSONLines(t *testing.T) {
	o := options(t)
	o.JSON = true
	got, _ := read(t, strings.Join([]string{
		`{"number":"13800138000","tier":"vip"}`,
		`{"tier":"mid","number":"+8613900139000","ends":"2027-01-01T00:00:00Z","flags":3,"note":"注"}`,
		`{"number":"13800138000"}`, `{"number":"13800138000","tier":"gold"}`, `{"number":13800138000,"tier":"vip"}`,
		`{"number":"13800138000","tier":"vip","flags":256}`, `{"number":"13800138000","tier":"vip","colour":"red"}`,
		`{"number":"13800138000","tier":"vip"} {}`, `[]`, `{"number":"138001`,
	}, "\n"), o)
	same(t, got, "+8613800138000 vip 0 0", "+8613900139000 mid 1798761600000 3 注",
		"line 3: tier: it is missing", `line 4, column 25: tier: tier "gold"`, "line 5, column 21: number: a number stands where a text",
		"line 6, column 48: flags: a number 256 stands where", `line 7: key "colour" is unknown`, "line 8, column 39: one object a line",
		"line 9, column 1: a array stands where an object", "line 10, column 18: it is cut off")
}

// TestReadingGoesOnWhereItWasLeft stops after every batch, and reads the rest anew.
func TestReadingGoesOnWhereItWasLeft(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("number,tier\n")
	const lines = 60_000
	for i := range lines {
		fmt.Fprintf(&text, "+86138%08d,%v\n", i, tiering.Tiers[i%4])
	}
	stop := errors.New("stop")
	var at Position
	seen, batches := 0, 0
	for done := false; !done; batches++ {
		r, err := NewReader(bytes.NewReader(text.Bytes()), options(t))
		if err != nil {
			t.Fatal(err)
		}
		if at == (Position{}) {
			at = r.Start()
		}
		err = r.Read(t.Context(), at, func(b *Batch) error {
			for i, c := range b.Changes {
				if want := tiering.Number(fmt.Sprintf("+86138%08d", seen+i)); c.Number != want {
					t.Fatalf("%s came where %s was due", c.Number, want)
				}
			}
			seen += len(b.Changes)
			at = b.End
			return stop
		})
		if done = err == nil; !done && !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	if seen != lines || at.Line != lines+1 || at.Offset != int64(text.Len()) || batches < 4 {
		t.Errorf("%d lines in %d pieces, at %+v", seen, batches, at)
	}
}

func TestASourceThatBreaksIsTold(t *testing.T) {
	broken := errors.New("the disk is gone")
	src := io.MultiReader(strings.NewReader("number,tier\n"+strings.Repeat("13800138000,vip\n", 10_000)), failing{broken})
	r, err := NewReader(src, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read(t.Context(), r.Start(), func(*Batch) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err = NewReader(strings.NewReader("number,tier\n"+strings.Repeat("13800138000,vip\n", 100_000)), options(t))
	if err != nil {
		t.Fatal(err)
	}
	err = r.Read(ctx, r.Start(), func(*Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzRead: whatever a file holds, every line is read, told or empty, and no
// fault shows a whole number.
func FuzzRead(f *testing.F) {
	f.Add("number,tier\n13800138000,vip\n\"x\n", false, false)
	f.Add(`{"number":"13800138000","tier":"vip"}`, true, false)
	f.Add("number,payment_record,order_amount,profit_contribution\n13800138000,1,2,NaN\n", false, true)
	f.Add(`{"number":"13800138000","payment_record":1,"order_amount":"2","profit_contribution":1e999}`, true, true)
	f.Fuzz(func(t *testing.T, text string, asJSON, graded bool) {
		o := options(t)
		o.JSON = asJSON
		if graded {
			g := tiering.DefaultScheme().Grading()
			o.Grading = &g
		}
		r, err := NewReader(strings.NewReader(text), o)
		if err != nil {
			return
		}
		var end Position
		if err := r.Read(t.Context(), r.Start(), func(b *Batch) error {
			if end = b.End; len(b.Lines) != len(b.Changes) {
				t.Fatalf("%d changes stand on %d lines", len(b.Changes), len(b.Lines))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if end != (Position{}) && end.Offset != int64(len(text)) {
			t.Fatalf("it ends at byte %d of %d", end.Offset, len(text))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("number,tier\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "+86138%08d,vip\n", i)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(text.Bytes()), options(b))
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Read(b.Context(), r.Start(), func(*Batch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
