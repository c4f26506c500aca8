package record

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// fill sets every field below v to something that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \xff", *n)) // no UTF-8: it must survive too
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n%250 + 1))
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Interface:
		v.Set(reflect.ValueOf(&queue.Error{Kind: queue.ErrInvalid, Field: "f", Detail: fmt.Sprint("d", *n)}))
	default:
		panic("fill does not know " + v.Kind().String())
	}
}

// roundTrip encodes in and decodes it into out.
func roundTrip(t *testing.T, in, out any) {
	t.Helper()
	var e Encoder
	var buf bytes.Buffer
	buf.WriteString("before")
	if err := e.Append(&buf, Calls, []byte("key"), in); err != nil {
		t.Fatal(err)
	}
	value := buf.Bytes()[len("before"):]
	if err := Decode(nil, Calls, []byte("key"), value, out); err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	for _, key := range []string{"other", ""} {
		if err := Decode(nil, Calls, []byte(key), value, out); !errors.Is(err, ErrDamaged) {
			t.Errorf("under another key: %v", err)
		}
	}
}

// Every field of every record comes back: a new one without a tag, or one that
// storedResult lacks, fails here.
func TestEveryFieldIsStored(t *testing.T) {
	t.Parallel()
	n := 0
	check := func(in, out any) {
		t.Helper()
		fill(reflect.ValueOf(in).Elem(), &n)
		roundTrip(t, in, out)
		if !reflect.DeepEqual(in, out) {
			t.Errorf("%T came back as\n%+v, not\n%+v", in, out, in)
		}
	}
	check(&queue.Call{}, &queue.Call{})
	check(&queue.Agent{}, &queue.Agent{})
	check(&queue.OfferRecord{}, &queue.OfferRecord{})
	check(&callback.Callback{}, &callback.Callback{})
	check(&queue.QueueRecord{}, &queue.QueueRecord{})
	check(&queue.Cohort{}, &queue.Cohort{})
	check(&queue.Totals{}, &queue.Totals{})
	check(&queue.OwnerRecord{}, &queue.OwnerRecord{})
	check(&queue.SwitchRecord{}, &queue.SwitchRecord{})
	check(&queue.Meta{}, &queue.Meta{})
	check(&queue.Event{}, &queue.Event{})

	in := &queue.RequestRecord{}
	fill(reflect.ValueOf(in).Elem(), &n)
	stored := storeRequest(in)
	var back storedRequest
	roundTrip(t, &stored, &back)
	if out := back.load(); !reflect.DeepEqual(in, out) {
		t.Errorf("a request came back as\n%+v, not\n%+v", out, in)
	}
}

// State has no kind of record that Put or Add forgets.
func TestEveryKindIsStored(t *testing.T) {
	t.Parallel()
	n := 0
	st := &queue.State{}
	fill(reflect.ValueOf(st).Elem(), &n)
	c, got := &queue.Changes{}, &queue.Changes{Meta: st.Meta}
	from, to := reflect.ValueOf(st).Elem(), reflect.ValueOf(c).Elem()
	for i := range from.NumField() {
		to.FieldByName(from.Type().Field(i).Name).Set(from.Field(i))
	}
	var e Encoder
	err := Put(c, func(k Key, r any) error {
		var buf bytes.Buffer
		if err := e.Append(&buf, k.Kind, []byte("key"), r); err != nil {
			return err
		}
		return Add(got, nil, k.Kind, []byte("key"), buf.Bytes())
	}, func(k Key) { t.Errorf("%v is gone", k) })
	if err != nil {
		t.Fatal(err)
	}
	if back := State(got); !reflect.DeepEqual(back, st) {
		t.Errorf("came back as\n%+v, not\n%+v", back, st)
	}

	gone, back := &queue.Changes{}, &queue.Changes{}
	v := reflect.ValueOf(gone).Elem()
	for i := range v.NumField() {
		if strings.HasPrefix(v.Type().Field(i).Name, "Gone") {
			fill(v.Field(i), &n)
		}
	}
	err = Put(gone, func(k Key, _ any) error { t.Errorf("%v is there", k); return nil }, func(k Key) { Gone(back, k) })
	if err != nil || !reflect.DeepEqual(back, gone) {
		t.Errorf("gone came back as\n%+v, not\n%+v; %v", back, gone, err)
	}
}

// An item's refusal is the same after a restart: text, kind and fields.
func TestReasonsComeBack(t *testing.T) {
	t.Parallel()
	for _, in := range []error{
		nil,
		errors.New("no kind at all"),
		&queue.Error{Kind: queue.ErrTrimmed, Field: "after", Detail: "gone", Oldest: 7},
		fmt.Errorf("call 3: %w", &queue.Error{Kind: queue.ErrInvalid, Field: "caller", Detail: "is empty"}),
		fmt.Errorf("%w: at noon", callback.ErrWindow),
		tiering.ErrNumber,
		fmt.Errorf("%w: 12", tiering.ErrNumber),
	} {
		out := storeReason(in).load()
		if (in == nil) != (out == nil) {
			t.Fatalf("%v came back as %v", in, out)
		}
		if in == nil {
			continue
		}
		if in.Error() != out.Error() {
			t.Errorf("%q came back as %q", in, out)
		}
		for _, k := range kinds {
			if errors.Is(in, k.err) != errors.Is(out, k.err) {
				t.Errorf("%q: is %s %v, came back %v", in, k.name, errors.Is(in, k.err), errors.Is(out, k.err))
			}
		}
	}
}

// Every error of the core that an item may carry has a name.
func TestEveryErrorHasAName(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, k := range kinds {
		if names[k.name] {
			t.Errorf("%s stands there twice", k.name)
		}
		names[k.name] = true
		if !errors.Is(kindNamed(k.name), k.err) {
			t.Errorf("%s is another error", k.name)
		}
		if kindName(k.err) != k.name {
			t.Errorf("%v is taken for %s", k.err, kindName(k.err))
		}
	}
	declared := 0
	for _, file := range []string{"../errors.go", "../../callback/errors.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, obj := range f.Scope.Objects {
			if obj.Kind == ast.Var && strings.HasPrefix(name, "Err") {
				declared++
			}
		}
	}
	if others := 1; declared+others != len(kinds) { // tiering.ErrNumber
		t.Errorf("%d errors are declared, the table has %d: add the new one", declared+others, len(kinds))
	}
}

func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	stored := storeRequest(&queue.RequestRecord{Seq: 1, Kind: "arrive", ID: "x", Result: queue.Result{Call: &queue.Call{ID: "c"}}})
	if err := Marshal(&buf, &stored); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{&storedRequest{}, &queue.Call{}, &queue.Event{}, &queue.Totals{}} {
			_, _ = Unmarshal(body, into) // any error, no panic, no endless memory
		}
	})
}
