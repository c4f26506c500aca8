package app

import "runtime/debug"

// Version is the daemon's version; a release build sets it by the linker. A
// build from a checkout says which commit.
var Version = ""

// VersionString returns Version, or what the build knows of its origin.
func VersionString() string {
	if Version != "" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-modified"
		}
	}
	return "devel" + revision + dirty
}
