package filedir

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

func drawEntry(t *rapid.T) tiering.Entry {
	at := rapid.Custom(func(t *rapid.T) instant.Instant {
		return instant.Instant(rapid.Int64Range(0, 1<<62).Draw(t, "ms"))
	})
	e := tiering.Entry{
		Grade:       tiering.Tier(rapid.IntRange(0, int(tiering.Ordinary)).Draw(t, "grade")),
		GradedAt:    at.Draw(t, "graded at"),
		GradeEnds:   at.Draw(t, "grade ends"),
		Blacklisted: rapid.Bool().Draw(t, "blacklisted"),
		Flags:       tiering.Flags(rapid.Byte().Draw(t, "flags")),
		Note:        strings.ToValidUTF8(rapid.StringN(0, 100, tiering.MaxNoteBytes).Draw(t, "note"), ""),
		UpdatedAt:   at.Draw(t, "updated at"),
	}
	if e.Grade == tiering.TierUnset {
		e.Blacklisted = true
	}
	if e.Blacklisted {
		e.BlacklistEnds = at.Draw(t, "blacklist ends")
	}
	return e
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, key := drawEntry(t), []byte("+8613800138000")
		value := appendEntry(nil, key, want)
		got, err := decodeEntry(key, value)
		if err != nil || got != want {
			t.Fatalf("%+v came back as %+v, %v", want, got, err)
		}
	})
}

// TestEveryDamageIsNoticed flips each bit, cuts at each length, and puts the
// value under another number.
func TestEveryDamageIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := []byte("+8613800138000")
		value := appendEntry(nil, key, drawEntry(t))
		bit := rapid.IntRange(0, len(value)*8-1).Draw(t, "bit")
		value[bit/8] ^= 1 << (bit % 8)
		if e, err := decodeEntry(key, value); err == nil {
			t.Fatalf("with bit %d flipped it reads as %+v", bit, e)
		}
		value[bit/8] ^= 1 << (bit % 8)
		if e, err := decodeEntry(key, value[:rapid.IntRange(0, len(value)-1).Draw(t, "length")]); err == nil {
			t.Fatalf("cut off it reads as %+v", e)
		}
		if e, err := decodeEntry([]byte("+8613800138001"), value); err == nil {
			t.Fatalf("under another number it reads as %+v", e)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	key := []byte("+8613800138000")
	f.Add([]byte{})
	f.Add([]byte{valueFormat, 1, 0, 0, 0, 0, 0})
	f.Add([]byte{valueFormat, 0x0f, 255, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = decodeEntry(key, body)
		sum := checksum(key, body) // with a right checksum the rest must still make sense
		e, err := decodeEntry(key, append(body[:len(body):len(body)], byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)))
		if err != nil {
			return
		}
		if again, err := decodeEntry(key, appendEntry(nil, key, e)); err != nil || again != e {
			t.Fatalf("%+v comes back as %+v, %v", e, again, err)
		}
	})
}
