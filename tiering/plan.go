package tiering

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// plan is one country calling code's numbering plan, compiled from the
// library's own metadata. It answers only when it is sure to answer what
// phonenumbers.Parse, IsValidNumber and Format would, at a tenth of their cost
// (they try a dozen expressions one after the other); whatever is not plain is
// left to them. TestPlansAgree and FuzzNormalize compare the two.
type plan struct {
	region  string // the main region of the code
	code    string // the country calling code's digits
	general desc   // what every valid number of the region matches
	types   []desc // mobile, fixed line and so on: a valid number matches one of them
	trunk   prefix // what the library strips from a national number
	rewrite bool   // the trunk prefix is not just stripped but rewritten
	idd     prefix // the international prefix as dialled inside the region
}

// desc is the shape of one type of number.
type desc struct {
	lengths []int32
	pattern *digits
}

func (d desc) matches(national string) bool {
	if len(d.lengths) > 0 && !slices.Contains(d.lengths, int32(len(national))) {
		return false
	}
	return d.pattern.matches(national)
}

// prefix is a prefix expression; the zero prefix is none.
type prefix struct {
	pattern *regexp.Regexp
	quick   *digits // says at once that the pattern does not match; nil when it can't
}

// cut returns how many digits of s are the prefix, and false when there is none.
func (p prefix) cut(s string) (size int, ok bool) {
	if p.pattern == nil || p.quick != nil && !p.quick.begins(s) {
		return 0, false
	}
	at := p.pattern.FindStringIndex(s)
	if len(at) == 0 || at[0] != 0 {
		return 0, false
	}
	return at[1], true
}

// fast returns the number and true, or false when the library has to be asked.
func (z *Normalizer) fast(digits string, plus bool) (Number, bool) {
	p, national := z.home, digits
	if !plus {
		if p == nil {
			return Withheld, false
		}
		switch rest, abroad := p.international(digits); {
		case abroad:
			digits, plus = rest, true
		case strings.HasPrefix(digits, p.code) && !p.general.pattern.matches(digits):
			national = digits[len(p.code):]
			if _, ok := p.trunk.cut(national); ok {
				return Withheld, false
			}
		}
	}
	if plus {
		size := callingCodeLen(digits)
		if size >= len(digits) || digits[0] == '0' { // no calling code starts with 0
			return Withheld, false
		}
		code, _ := strconv.Atoi(digits[:size])
		if p = planOf(code); p == nil {
			return Withheld, false
		}
		national = digits[size:]
	}
	national, ok := p.settle(national)
	if !ok {
		return Withheld, false
	}
	return Number("+" + p.code + national), true
}

// international cuts the international prefix off digits that carry one.
func (p *plan) international(digits string) (rest string, ok bool) {
	size, ok := p.idd.cut(digits)
	if !ok || strings.HasPrefix(digits[size:], "0") {
		return "", false
	}
	return digits[size:], true
}

// settle returns the national number without its trunk prefix, and true when
// it is a number of the plan. A prefix on what is a number with it too, and a
// leading zero that belongs to the number, are left to the library.
func (p *plan) settle(national string) (string, bool) {
	if size, ok := p.trunk.cut(national); ok {
		if p.rewrite || p.general.pattern.matches(national) {
			return "", false
		}
		national = national[size:]
	}
	if strings.HasPrefix(national, "0") || !p.general.matches(national) {
		return "", false
	}
	return national, slices.ContainsFunc(p.types, func(d desc) bool { return d.matches(national) })
}

// compiledPlans holds the plan of each calling code once it has been needed.
var compiledPlans [1000]struct {
	once sync.Once
	plan *plan
}

// planOf returns the plan of a calling code; nil when it has none that can be
// trusted alone.
func planOf(code int) *plan {
	if code <= 0 || code >= len(compiledPlans) {
		return nil
	}
	slot := &compiledPlans[code]
	slot.once.Do(func() { slot.plan = compilePlan(code) })
	return slot.plan
}

func compilePlan(code int) *plan {
	region := phonenumbers.GetRegionCodeForCountryCode(code)
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all.GetMetadata(), func(m *phonenumbers.PhoneMetadata) bool {
		// Region 001 stands for codes without a country, and there are many.
		return m.GetId() == region && region != "001"
	})
	if i < 0 || all.GetMetadata()[i].GetLeadingDigits() != "" {
		return nil
	}
	m := all.GetMetadata()[i]
	p := &plan{region: region, code: strconv.Itoa(code), rewrite: m.GetNationalPrefixTransformRule() != ""}
	var ok bool
	if p.general, ok = compileDesc(m.GetGeneralDesc()); !ok {
		return nil
	}
	for _, d := range []*phonenumbers.PhoneNumberDesc{
		m.GetMobile(), m.GetFixedLine(), m.GetTollFree(), m.GetPremiumRate(), m.GetSharedCost(),
		m.GetVoip(), m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
	} {
		if t, ok := compileDesc(d); ok {
			p.types = append(p.types, t)
		}
	}
	if p.trunk, ok = compilePrefix(m.GetNationalPrefixForParsing(), "^(?:"); !ok {
		return nil
	}
	if p.idd, ok = compilePrefix(m.GetInternationalPrefix(), "(?:"); !ok {
		return nil
	}
	return p
}

// compileDesc compiles one type of number; ok is false when the region has none.
func compileDesc(d *phonenumbers.PhoneNumberDesc) (_ desc, ok bool) {
	if d.GetNationalNumberPattern() == "" {
		return desc{}, false
	}
	pattern, ok := compileDigits(d.GetNationalNumberPattern())
	return desc{lengths: d.GetPossibleLength(), pattern: pattern}, ok
}

// compilePrefix compiles a prefix expression; an absent one is nil and fine. The
// quick form knows matches at the very start only, as cut does.
func compilePrefix(expression, open string) (_ prefix, ok bool) {
	if expression == "" {
		return prefix{}, true
	}
	pattern, err := regexp.Compile(open + expression + ")")
	quick, _ := compileDigits(expression)
	return prefix{pattern, quick}, err == nil
}
