package tui

import "strings"

// spelled is the signs of the screens in ASCII, each as wide as it was.
var spelled = strings.NewReplacer(
	"─", "-", "█", "#", "░", ".", "●", "*", "■", "#", "◆", "*", "▲", "!", "▼", "v", "✓", "+", "◌", "o", "‖", "=",
	"…", "~", "›", ">", "·", "-", "“", `"`, "”", `"`, "↑", "^", "↓", "v",
)

// Spell writes a screen's signs as its terminal can show them: in ASCII where the
// environment does not ask for UTF-8. What callers are called stays as it is.
func Spell(screen string, env func(string) string) string {
	if utf8Locale(env) {
		return screen
	}
	return spelled.Replace(screen)
}

// utf8Locale reports whether the environment asks for UTF-8.
func utf8Locale(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
