package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhoIsLetIn(t *testing.T) {
	g := newGuard([]string{"Board.example.com"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{
		"127.0.0.1:7317": 200, "localhost": 200, "LOCALHOST:80": 200, "localhost.:1": 200, "[::1]:7317": 200, "[::1]": 200, "10.1.2.3": 200, "192.0.2.1:80": 200,
		"board.example.com": 200, "BOARD.example.com.:7317": 200,
		"": 421, "evil.example": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "xboard.example.com": 421, "board.example.com.evil": 421,
		"0x7f000001": 421, "2130706433": 421, "127.1": 421,
	} {
		req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://x/", nil)
		req.Host = host
		rec := httptest.NewRecorder()
		g.ServeHTTP(rec, req)
		if rec.Code != want {
			t.Errorf("host %q: %d, want %d", host, rec.Code, want)
		}
	}
}
