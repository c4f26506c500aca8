package embedded

import (
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

// Every field of every record comes back: a new one without a tag, or one that
// storedResult lacks, fails here.
func TestEveryFieldIsStored(t *testing.T) {
	t.Parallel()
	n := 0
	check := func(in, out any) {
		t.Helper()
		fill(reflect.ValueOf(in).Elem(), &n)
		var w writes
		if err := w.put(bucketCalls, w.number(7), in); err != nil {
			t.Fatal(err)
		}
		op := parsed(t, &w)[0]
		if err := decode(nil, bucketCalls, op.key, op.value, out); err != nil {
			t.Fatalf("%T: %v", in, err)
		}
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
	var w writes
	if err := w.put(bucketRequests, w.number(1), &stored); err != nil {
		t.Fatal(err)
	}
	var back storedRequest
	op := parsed(t, &w)[0]
	if err := decode(nil, bucketCalls, op.key, op.value, &back); err != nil {
		t.Fatal(err)
	}
	if out := back.load(); !reflect.DeepEqual(in, out) {
		t.Errorf("a request came back as\n%+v, not\n%+v", out, in)
	}
}

// State has no kind of record that Changes or loadState forgets.
func TestEveryKindIsStored(t *testing.T) {
	t.Parallel()
	n := 0
	st := &queue.State{}
	fill(reflect.ValueOf(st).Elem(), &n)
	c := &queue.Changes{}
	from, to := reflect.ValueOf(st).Elem(), reflect.ValueOf(c).Elem()
	for i := range from.NumField() {
		to.FieldByName(from.Type().Field(i).Name).Set(from.Field(i))
	}
	var w writes
	if err := w.changes(c); err != nil {
		t.Fatal(err)
	}
	list := parsed(t, &w)
	got, err := loadState(func(bucket bucketID, f func(key, value []byte) error) error {
		for _, op := range list {
			if op.bucket == bucket {
				if err := f(op.key, op.value); err != nil {
					return err
				}
			}
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Meta = st.Meta // of which the store takes care
	if !reflect.DeepEqual(got, st) {
		t.Errorf("came back as\n%+v, not\n%+v", got, st)
	}

	gone := &queue.Changes{}
	v := reflect.ValueOf(gone).Elem()
	want := 0
	for i := range v.NumField() {
		if strings.HasPrefix(v.Type().Field(i).Name, "Gone") {
			fill(v.Field(i), &n)
			want += 2
		}
	}
	var g writes
	g.gone(gone)
	for _, op := range parsed(t, &g) {
		if op.value == nil {
			want--
		}
	}
	if want != 0 {
		t.Errorf("%d deletions are missing", want)
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

// Every error of the core that an item may carry has a name in the file.
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
	var w writes
	stored := storeRequest(&queue.RequestRecord{Seq: 1, Kind: "arrive", ID: "x", Result: queue.Result{Call: &queue.Call{ID: "c"}}})
	if err := w.put(bucketRequests, w.number(1), &stored); err != nil {
		f.Fatal(err)
	}
	f.Add(parsed(f, &w)[0].value[sumBytes:])
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{&storedRequest{}, &queue.Call{}, &queue.Event{}, &queue.Totals{}} {
			_ = decoder.Unmarshal(body, into) // any error, no panic, no endless memory
		}
	})
}
