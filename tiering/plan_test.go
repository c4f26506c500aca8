package tiering

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

func normalizer(t testing.TB, region string) *Normalizer {
	t.Helper()
	z, err := NewNormalizer(region)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// agree fails when a compiled plan is sure of something that the library
// answers otherwise. It reports whether a plan answered at all.
func agree(t interface{ Fatalf(string, ...any) }, z *Normalizer, digits string, plus bool) bool {
	fast, sure := z.fast(digits, plus)
	if !sure {
		return false
	}
	if slow, fault := z.slow(digits, plus); fault != "" || slow != fast {
		t.Fatalf("region %s, digits %q, plus %v: the plan says %q, the library %q (%s)",
			z.region, digits, plus, fast, slow, fault)
	}
	return true
}

func regions() []string {
	var all []string
	for region := range phonenumbers.GetSupportedRegions() {
		all = append(all, region)
	}
	slices.Sort(all)
	return all
}

// TestPlansAgree walks every region with numbers close to real ones: example
// numbers of each type, some digits changed, dialled in every way.
func TestPlansAgree(t *testing.T) {
	all := regions()
	types := []phonenumbers.PhoneNumberType{
		phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE,
		phonenumbers.SHARED_COST, phonenumbers.VOIP, phonenumbers.UAN, phonenumbers.PERSONAL_NUMBER,
	}
	normalizers := map[string]*Normalizer{}
	for _, region := range all {
		normalizers[region] = normalizer(t, region)
	}
	answered := 0
	rapid.Check(t, func(t *rapid.T) {
		home := rapid.SampledFrom(all).Draw(t, "home")
		away := home
		if rapid.Bool().Draw(t, "abroad") {
			away = rapid.SampledFrom(all).Draw(t, "away")
		}
		example := phonenumbers.GetExampleNumberForType(away, rapid.SampledFrom(types).Draw(t, "type"))
		if example == nil {
			example = phonenumbers.GetExampleNumber(away)
		}
		if example == nil {
			t.Skip("the region has no example number")
		}
		national := []byte(phonenumbers.GetNationalSignificantNumber(example))
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			at := rapid.IntRange(0, len(national)-1).Draw(t, "at")
			national[at] = byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		}
		national = append(national, rapid.SampledFrom([]string{"", "", "", "7", "12"}).Draw(t, "tail")...)
		code := fmt.Sprint(phonenumbers.GetCountryCodeForRegion(away))
		prefix := rapid.SampledFrom([]string{"", "0", "1", "8", "00" + code, "011" + code, code, "000", "17951"}).Draw(t, "prefix")
		z := normalizers[home]
		agree(t, z, prefix+string(national), true)
		if agree(t, z, code+string(national), true) {
			answered++
		}
		if agree(t, z, prefix+string(national), false) {
			answered++
		}
		for _, text := range []string{"+" + code + string(national), prefix + string(national)} {
			if n, err := z.Normalize(text); err == nil {
				if again, err := z.Normalize(string(n)); err != nil || again != n {
					t.Fatalf("region %s: %q gives %q, which gives %q, %v", home, text, n, again, err)
				}
			}
		}
	})
	if answered == 0 {
		t.Fatal("no plan ever answered: the fast path is dead")
	}
}

// TestPlanOfChinaAgrees goes through the Chinese numbers of plausible lengths
// by their first five digits.
func TestPlanOfChinaAgrees(t *testing.T) {
	z := normalizer(t, "CN")
	answered := 0
	for prefix := 0; prefix < 100_000; prefix += 11 {
		digits := fmt.Sprintf("%05d", prefix) + "246813579"[:4+prefix%3]
		if agree(t, z, digits, false) {
			answered++
		}
		agree(t, z, "86"+digits, prefix%2 == 0)
	}
	if answered == 0 {
		t.Fatal("the plan of China answers nothing")
	}
}

func regionsByCode() map[string]string {
	codes := map[string]string{}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		codes[fmt.Sprint(code)] = phonenumbers.GetRegionCodeForCountryCode(code)
	}
	return codes
}
