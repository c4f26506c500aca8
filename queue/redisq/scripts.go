package redisq

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts so
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed lua/*.lua
var sources embed.FS

// script is one that Redis runs, with the name that Redis gives it.
type script struct {
	name, source, hash string
}

func newScript(name, source string) *script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // Redis names scripts so
	return &script{name: name, source: source, hash: hex.EncodeToString(sum[:])}
}

// The first line of a script says when Redis may run it. A Redis whose memory is
// full runs those only that are allowed to: the commits that empty it.
const (
	flagsUsual = "#!lua\n"
	flagsDrain = "#!lua flags=allow-oom\n"
)

var (
	commitScript  = newScript("commit", withBehind("commit"))
	drainScript   = newScript("drain", flagsDrain+strings.TrimPrefix(commitScript.source, flagsUsual))
	catchUpScript = newScript("catch_up", withBehind("catch_up"))
	installScript = newScript("install", source("install"))
	asideScript   = newScript("aside", source("aside"))
)

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is part of the program
	}
	return string(text)
}

// withBehind puts behind.lua before a script, below the line with the flags.
func withBehind(name string) string {
	flags, body, found := strings.Cut(source(name), "\n")
	if !found || !strings.HasPrefix(flags, "#!lua") {
		panic(fmt.Sprintf("script %s has no line of flags", name))
	}
	return flags + "\n" + source("behind") + body
}
