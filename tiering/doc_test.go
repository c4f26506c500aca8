package tiering

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// docTable returns the rows of the first table below a heading of docs/grading.md.
func docTable(t *testing.T, heading string) (head []string, rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/grading.md")
	if err != nil {
		t.Fatal(err)
	}
	_, below, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/grading.md has no heading %q", heading)
	}
	for line := range strings.Lines(below) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s: no table with rows", heading)
	}
	return rows[0], rows[2:]
}

// TestGradingPage: every example of docs/grading.md is what the code says.
func TestGradingPage(t *testing.T) {
	for heading, g := range map[string]Grading{"### three-factor": DefaultScheme().Grading(), "### six-factor": SixFactor()} {
		head, rows := docTable(t, heading)
		for i, f := range g.Factors {
			weight := strconv.FormatFloat(f.Weight*100, 'f', 0, 64)
			if head[i] != f.Name+" ("+weight+")" && head[i] != f.Name+" ("+weight+" %)" {
				t.Errorf("%s: column %q, want %s with %s", heading, head[i], f.Name, weight)
			}
		}
		for _, row := range rows {
			figures := make([]float64, len(g.Factors))
			for i := range figures {
				var err error
				if figures[i], err = strconv.ParseFloat(row[i], 64); err != nil {
					t.Fatal(err)
				}
			}
			score, tier, err := g.Grade(figures)
			if err != nil || strconv.FormatFloat(score, 'f', -1, 64) != row[len(row)-2] || tier.String() != row[len(row)-1] {
				t.Errorf("%s: %v: %v, %v, %v", heading, row, score, tier, err)
			}
		}
	}
}

// TestCarePage: so is every example of care.
func TestCarePage(t *testing.T) {
	_, rows := docTable(t, "## Care")
	for _, row := range rows {
		var s Satisfaction
		for i, cell := range row[:CareMonths] {
			for score := range strings.SplitSeq(cell, ",") {
				if score = strings.TrimSpace(score); score == "" {
					continue
				}
				v, err := strconv.Atoi(score)
				if err != nil {
					t.Fatal(err)
				}
				s, _ = s.Rate(Rating{Score: v, Month: nov - CareMonths + 1 + Month(i)}, nov)
			}
		}
		if got := s.Class(nov, DefaultDissatisfied); got.String() != row[CareMonths] {
			t.Errorf("%v: %v", row, got)
		}
	}
}
