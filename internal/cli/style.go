package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	pb "greenlane/proto/greenlane/v1"
)

// style colours what a person looks at; the zero value does not.
type style struct{ on bool }

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
)

// styleFor is colours for a terminal that has them, unless NO_COLOR says no (see
// no-color.org).
func styleFor(w io.Writer) style {
	f, ok := w.(*os.File)
	return style{on: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s style) paint(color, text string) string {
	if !s.on || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func tierColor(t pb.Tier) string {
	switch t {
	case pb.Tier_TIER_VIP:
		return green
	case pb.Tier_TIER_MID:
		return cyan
	case pb.Tier_TIER_BLACKLIST:
		return red
	}
	return ""
}
