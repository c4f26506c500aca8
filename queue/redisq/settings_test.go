package redisq

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// fillSettings sets every field below v to something that is not zero.
func fillSettings(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*time.Location]() {
			v.Set(reflect.ValueOf(time.FixedZone(fmt.Sprint("zone ", *n), 60**n)))
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fillSettings(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fillSettings(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fillSettings(v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillSettings(key, n)
		fillSettings(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprint("text", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(tiering.Tiers[*n%len(tiering.Tiers)]))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * 1_000_000)
	case reflect.Float64:
		v.SetFloat(float64(*n) / 1000)
	default:
		panic("fillSettings does not know " + v.Kind().String())
	}
}

// Every setting comes back, also one that is added some day, and a change of any
// shows in the print.
func TestEverySettingIsStored(t *testing.T) {
	t.Parallel()
	var in queue.Site
	n := 0
	fillSettings(reflect.ValueOf(&in).Elem(), &n)
	text, stamp, err := encodeSite(&in)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := decodeSite(text) // it is no valid site
	if !reflect.DeepEqual(in, out) {
		t.Errorf("came back as\n%+v, not\n%+v", out, in)
	}
	if _, again, err := encodeSite(&out); err != nil || again != stamp {
		t.Errorf("the same site has the prints %s and %s, %v", stamp, again, err)
	}
	out.Queues[1].Hours.Zone = time.UTC
	if _, other, err := encodeSite(&out); err != nil || other == stamp {
		t.Errorf("another site has the print %s, %v", other, err)
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, loc := range []*time.Location{time.UTC, mustLoad(t, "Europe/Berlin"), mustLoad(t, "Asia/Shanghai"), time.FixedZone("UTC+8", 8*3600), time.FixedZone("", -3600)} {
		got := zoneOf(loc, at).location()
		if a, b := at.In(loc).Format(time.DateTime), at.In(got).Format(time.DateTime); a != b {
			t.Errorf("%s: %s became %s", loc, a, b)
		}
	}
	if got := (zone{"Mars/Olympus", 5 * 3600}).location(); at.In(got).Hour() != 17 {
		t.Errorf("a zone that is not known here shows %v", at.In(got))
	}
}

func mustLoad(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestSettingsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "rubbish", "{}"} {
		if _, err := decodeSite([]byte(text)); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
