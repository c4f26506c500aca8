package tiering

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Normalizer turns what switches and files call a caller's number into a
// Number, so that one caller has one key however the number was written. It is
// immutable and safe for concurrent use.
type Normalizer struct {
	region string
	home   *plan
}

// NewNormalizer returns a Normalizer that reads numbers without a country code
// as dialled inside region, an ISO 3166 code such as "CN" in any case of
// letters. The error names a region that has no numbering plan.
func NewNormalizer(region string) (*Normalizer, error) {
	region = strings.ToUpper(strings.TrimSpace(region))
	code := phonenumbers.GetCountryCodeForRegion(region)
	if code == 0 {
		return nil, fmt.Errorf("number region %q is unknown: a two-letter country code such as CN is allowed", region)
	}
	z := &Normalizer{region: region}
	if p := planOf(code); p != nil && p.region == region {
		z.home = p
	}
	return z, nil
}

// Region returns the region that numbers without a country code are read in.
func (z *Normalizer) Region() string { return z.region }

// Normalize returns the E.164 form of raw, or Withheld for a caller id that
// says that there is none.
//
// Read are: E.164, national forms, international forms with the region's prefix
// or with 00, spaces, dashes, dots, slashes and brackets between digits,
// full-width digits, tel:, sip: and sips: URIs (with RFC 3966 phone-context),
// user@host, and name-addr forms such as `"Li" <sip:+8613800138000@host>`.
// Withheld are: nothing at all, words such as anonymous, restricted, unknown,
// private and unavailable (also as the user of a URI), any user at the host
// anonymous.invalid (RFC 3323), and a number of zeros only.
//
// Everything else is ErrNumber: longer than MaxNumberBytes, letters, short
// internal extensions and service codes, and numbers that the country's
// numbering plan (as the phone-number library knows it) does not have. It never
// panics, keeps nothing, and returns its own results unchanged.
func (z *Normalizer) Normalize(raw string) (Number, error) {
	text, err := read(raw)
	if err != nil {
		return Withheld, z.refuse(err.Error())
	}
	if text.withheld {
		return Withheld, nil
	}
	n, fault := z.number(text.digits, text.plus)
	if fault != "" {
		return Withheld, z.refuse(fault)
	}
	return n, nil
}

// NormalizeLenient is Normalize for a call that has arrived and must not be
// lost over its caller id. What Normalize reads it returns with known true,
// Withheld included. For the rest known is false and n is the unnormalised form:
// the digits as they stand, without a plus, so that an internal extension or a
// number of a plan too new for the library still has a key of its own. Text with
// letters in it, or too long, has no such form and gives Withheld: two callers
// must not share a key because their names share a digit.
func (z *Normalizer) NormalizeLenient(raw string) (n Number, known bool) {
	text, err := read(raw)
	if err != nil {
		return Withheld, false
	}
	if text.withheld {
		return Withheld, true
	}
	if n, fault := z.number(text.digits, text.plus); fault == "" {
		return n, true
	}
	return Number(text.digits), false
}

func (z *Normalizer) refuse(fault string) error {
	return fmt.Errorf("%w: %s; allowed are E.164 (plus, country code, number), a number as dialled inside %s, "+
		"a tel: or sip: URI of one, or nothing for a withheld caller id", ErrNumber, fault, z.region)
}

// number finds the E.164 form of digits: by the compiled plans when one of
// them is sure of it, else by asking the library. The result is the same.
func (z *Normalizer) number(digits string, plus bool) (n Number, fault string) {
	if n, ok := z.fast(digits, plus); ok {
		return n, ""
	}
	return z.slow(digits, plus)
}

func (z *Normalizer) slow(digits string, plus bool) (n Number, fault string) {
	text := digits
	if plus {
		text = "+" + digits
	}
	if n, fault = z.ask(text); fault == "" {
		return n, ""
	}
	// Trunks write 00 for the plus also where the region's own international
	// prefix is another one.
	if abroad, ok := strings.CutPrefix(text, "00"); ok {
		if n, retry := z.ask("+" + abroad); retry == "" {
			return n, ""
		}
	}
	return Withheld, fault
}

func (z *Normalizer) ask(text string) (n Number, fault string) {
	parsed, err := phonenumbers.Parse(text, z.region)
	switch {
	case err != nil:
		return Withheld, err.Error()
	case phonenumbers.IsValidNumber(parsed):
		return Number(phonenumbers.Format(parsed, phonenumbers.E164)), ""
	case !phonenumbers.IsPossibleNumber(parsed):
		return Withheld, "it has too few or too many digits for its country"
	}
	return Withheld, "its country's numbering plan does not have it"
}

// callerText is a caller id taken apart.
type callerText struct {
	digits   string // at least one, unless withheld
	plus     bool   // a plus stood in front of the digits
	withheld bool
}

// read takes a caller id apart: the address out of a name-addr, the user out
// of a URI, the digits out of the user. The error says what is wrong with it.
func read(raw string) (callerText, error) {
	if len(raw) > MaxNumberBytes {
		return callerText{}, fmt.Errorf("it has %d bytes, at most %d are allowed", len(raw), MaxNumberBytes)
	}
	user, host, err := address(raw)
	if err != nil {
		return callerText{}, err
	}
	if strings.EqualFold(host, "anonymous.invalid") || isWithheld(user) {
		return callerText{withheld: true}, nil
	}
	number, params, _ := strings.Cut(user, ";")
	text, err := spelled(number)
	if err != nil {
		return callerText{}, err
	}
	if context := phoneContext(params); context != "" && !text.plus {
		text.digits, text.plus = context+text.digits, true
	}
	if strings.Trim(text.digits, "0") == "" {
		return callerText{withheld: true}, nil
	}
	return text, nil
}

// address returns the user and the host of what raw points at; host is empty
// when none is written.
func address(raw string) (user, host string, err error) {
	s := strings.TrimSpace(raw)
	if _, inner, ok := strings.Cut(s, "<"); ok {
		s, _, _ = strings.Cut(inner, ">")
		s = strings.TrimSpace(s)
	}
	scheme, rest, hasScheme := strings.Cut(s, ":")
	switch {
	case hasScheme && strings.EqualFold(scheme, "tel"):
		return rest, "", nil
	case hasScheme && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips")):
		if !strings.Contains(rest, "@") {
			return "", "", errors.New("the URI names a host and no user")
		}
		s = rest
	}
	user, host, atHost := strings.Cut(s, "@")
	if !atHost {
		return s, "", nil
	}
	host, _, _ = strings.Cut(host, ";")
	host, _, _ = strings.Cut(host, ":")
	user, _, _ = strings.Cut(user, ":") // a password
	if strings.Contains(user, "%") {
		if user, err = url.PathUnescape(user); err != nil {
			return "", "", errors.New("the URI's user is escaped wrongly")
		}
	}
	return user, host, nil
}

// phoneContext returns the digits of RFC 3966's phone-context when it is a
// global number prefix ("+86"), else nothing: a domain says nothing about digits.
func phoneContext(params string) string {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(name, "phone-context") {
			continue
		}
		if text, err := spelled(value); err == nil && text.plus {
			return text.digits
		}
	}
	return ""
}

// spelled reads digits as people and spreadsheets write them.
func spelled(s string) (callerText, error) {
	s = strings.TrimSpace(s)
	if digits := strings.TrimPrefix(s, "+"); digits != "" && allDigits(digits) {
		return callerText{digits: digits, plus: len(digits) < len(s)}, nil
	}
	var text callerText
	digits := make([]byte, 0, len(s))
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
		case r >= '０' && r <= '９':
			digits = append(digits, byte(r-'０'+'0'))
		case (r == '+' || r == '＋') && len(digits) == 0 && !text.plus:
			text.plus = true
		case isSeparator(r):
		default:
			return callerText{}, errors.New("it contains more than digits, one leading plus and separators")
		}
	}
	if len(digits) == 0 {
		return callerText{}, errors.New("it contains no digits")
	}
	text.digits = string(digits)
	return text, nil
}

// isSeparator reports whether r may stand between the digits of a number. The
// format characters come with numbers copied out of contact lists.
func isSeparator(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.ContainsRune(" -./()\t", r)
	}
	return r != utf8.RuneError && (unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r))
}

// withheldWords are what switches send in place of a number that the caller
// or the network kept back: letters only, in lower case.
var withheldWords = map[string]bool{
	"anonymous": true, "anonymouscaller": true, "asterisk": true, "blocked": true, "blockednumber": true,
	"callerunknown": true, "hidden": true, "idunavailable": true, "nocallerid": true, "none": true,
	"nonumber": true, "notavailable": true, "null": true, "numberunavailable": true, "numberwithheld": true,
	"o": true, "outofarea": true, "p": true, "private": true, "privatecaller": true, "privatenumber": true,
	"restricted": true, "restrictednumber": true, "unavailable": true, "unknown": true, "unknowncaller": true,
	"unknownnumber": true, "withheld": true, "withheldnumber": true,
	"匿名": true, "未知": true, "未知号码": true, "私人号码": true, "隐藏号码": true, "无号码": true,
}

// isWithheld reports whether user stands for no number: nothing, or one of
// withheldWords however it is capitalised and spaced.
func isWithheld(user string) bool {
	word := make([]byte, 0, 32)
	for _, r := range user {
		switch {
		case unicode.IsLetter(r):
			word = utf8.AppendRune(word, unicode.ToLower(r))
		case unicode.IsDigit(r) || r == utf8.RuneError:
			return false
		}
	}
	return len(strings.TrimSpace(user)) == 0 || withheldWords[string(word)]
}
