package greenlanev1_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	greenlanev1 "greenlane/proto/greenlane/v1"
)

// Names that clients outside this repository rely on: a test that fails here
// says that one of them would break.

var files = []protoreflect.FileDescriptor{
	greenlanev1.File_greenlane_v1_types_proto,
	greenlanev1.File_greenlane_v1_event_proto,
	greenlanev1.File_greenlane_v1_switch_service_proto,
	greenlanev1.File_greenlane_v1_agent_service_proto,
	greenlanev1.File_greenlane_v1_tier_service_proto,
	greenlanev1.File_greenlane_v1_callback_service_proto,
	greenlanev1.File_greenlane_v1_supervisor_service_proto,
}

// rpcs gives each method its request and response fields; "a.b" is the field b
// of the message in a. "<" marks a stream of requests, ">" one of responses.
var rpcs = map[string]struct{ in, out string }{
	"SwitchService.CallArrived": {
		"request_id site switch_id call_id caller dialed queue arrived_at attestation preferred_agent attributes",
		"call position estimated_wait",
	},
	"SwitchService.CallAbandoned": {"request_id site switch_id call_id at", "call callback"},
	"SwitchService.CallEnded":     {"request_id site switch_id call_id at", "call"},
	"<SwitchService.Connect>": {
		"arrived abandoned ended agent_answered agent_failed arrived.call_id abandoned.call_id ended.call_id " +
			"agent_answered.offer_id agent_failed.offer_id",
		"ring stop_ringing bridge release announce ring.offer_id stop_ringing.offer_id bridge.offer_id " +
			"bridge.call_id release.call_id release.reason announce.call_id",
	},
	"SwitchService.Reconcile": {"request_id site switch_id calls", "added closed kept"},

	"AgentService.SignIn":      {"request_id site agent_id endpoint queues queues.queue queues.level wrap_up", "agent"},
	"AgentService.NextCall":    {"site agent_id wait", "offer offer.offer_id offer.call offer.callback"},
	"AgentService.Accept":      {"request_id site agent_id offer_id", "call"},
	"AgentService.Decline":     {"request_id site agent_id offer_id reason", "agent"},
	"AgentService.Complete":    {"request_id site agent_id call_id", "call agent"},
	"AgentService.SetState":    {"request_id site agent_id state reason", "agent"},
	"AgentService.SignOut":     {"request_id site agent_id", "agent"},
	"AgentService.Listen>":     {"site agent_id after sign_in", "message message.sequence message.welcome message.offer message.rescind"},
	"AgentService.Acknowledge": {"site agent_id offer_id", ""},
	"<AgentService.Session>": {
		"hello ack accept decline complete set_state heartbeat",
		"welcome offer rescind agent call_ended result heartbeat",
	},

	"TierService.Set":           {"request_id site caller tier note", "tier"},
	"TierService.Lookup":        {"site caller", "tier known"},
	"<TierService.BatchSet":     {"site caller tier note", "results applied failed"},
	"TierService.Score":         {"payment_record order_amount profit_contribution", "score tier"},
	"TierService.Blacklist":     {"request_id site caller remove reason until", "tier"},
	"TierService.ListBlacklist": {"site page_size page_token", "callers.caller callers.reason callers.since callers.until next_page_token"},
	"TierService.List":          {"site page_size page_token", "entries.caller entries.grade entries.blacklisted next_page_token"},
	"TierService.Count":         {"site", "vip mid ordinary blacklist"},
	"TierService.GetGrading":    {"preset", "name factors.name factors.weight vip_from mid_from"},
	"TierService.Rate":          {"request_id site caller score month at", "standing callback_id"},
	"TierService.ListCare>":     {"site classes dissatisfied limit", "item.caller item.class item.months"},

	"CallbackService.List": {
		"site state caller",
		"callbacks callbacks.callback_id callbacks.caller callbacks.queue callbacks.tier callbacks.state " +
			"callbacks.due_at callbacks.deadline callbacks.attempts callbacks.reason",
	},
	"CallbackService.Create":     {"request_id site caller queue tier due_at note", "callback"},
	"CallbackService.Claim":      {"request_id site callback_id claimant", "callback"},
	"CallbackService.Report":     {"request_id site callback_id claimant result note", "callback"},
	"CallbackService.Reschedule": {"request_id site callback_id due_at", "callback"},
	"CallbackService.Cancel":     {"request_id site callback_id reason", "callback"},

	"SupervisorService.GetSnapshot": {
		"site",
		"queues queues.queue queues.tiers queues.tiers.tier queues.tiers.waiting queues.tiers.oldest_wait " +
			"queues.tiers.answered queues.tiers.answered_in_time queues.tiers.abandoned queues.tiers.service_level " +
			"agents agents.agent_id agents.state agents.reason agents.call_id agents.since",
	},
	"SupervisorService.EraseCaller":   {"request_id site caller", "calls callbacks tier live"},
	"SupervisorService.Watch>":        {"site", "snapshot"},
	"SupervisorService.GetCohorts":    {"site queue from to", "cohorts.start cohorts.queue cohorts.tier cohorts.counts interval formula"},
	"SupervisorService.ListCalls":     {"site queue tier states page_size page_token caller mask_callers", "calls next_page_token"},
	"SupervisorService.ListAgents":    {"site page_size page_token", "agents next_page_token"},
	"SupervisorService.Explain":       {"site call_id mask_callers", "call position ahead_by_tier eligible_agents reasons events"},
	"SupervisorService.MoveCall":      {"request_id site call_id queue", "call"},
	"SupervisorService.SetTier":       {"request_id site call_id tier", "call"},
	"SupervisorService.StreamEvents>": {"site after", "event event.sequence"},
}

var enums = map[string]string{
	"Tier":       "VIP MID ORDINARY BLACKLIST",
	"AgentState": "READY NOT_READY OFFERED TALKING WRAP_UP SIGNED_OUT",
	"CallState":  "WAITING OFFERED ANSWERED COMPLETED ABANDONED TIMED_OUT OVERFLOWED REFUSED",
}

func TestRPCNames(t *testing.T) {
	methods := map[string]protoreflect.MethodDescriptor{}
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				name := string(service.Name()) + "." + string(m.Name())
				if m.IsStreamingClient() {
					name = "<" + name
				}
				if m.IsStreamingServer() {
					name += ">"
				}
				methods[name] = m
				if _, ok := rpcs[name]; !ok {
					t.Errorf("%s stands in no row of this test", name)
				}
			}
		}
	}
	for name, want := range rpcs {
		m, ok := methods[name]
		if !ok {
			t.Errorf("%s is missing, or streams otherwise", name)
			continue
		}
		checkFields(t, name, m.Input(), want.in)
		checkFields(t, name, m.Output(), want.out)
	}
}

func checkFields(t *testing.T, rpc string, message protoreflect.MessageDescriptor, paths string) {
	t.Helper()
	for _, path := range strings.Fields(paths) {
		at := message
		for _, name := range strings.Split(path, ".") {
			if at == nil {
				t.Errorf("%s: %s leads through a field that is no message", rpc, path)
				break
			}
			field := at.Fields().ByName(protoreflect.Name(name))
			if field == nil {
				t.Errorf("%s: %s has no field %s (%s)", rpc, at.Name(), name, path)
				break
			}
			if got, want := field.JSONName(), lowerCamel(name); got != want {
				t.Errorf("%s: %s is %s in JSON, want %s", rpc, path, got, want)
			}
			at = field.Message()
		}
	}
}

func lowerCamel(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

func TestEnumNames(t *testing.T) {
	prefixes := map[string]string{"Tier": "TIER_", "AgentState": "AGENT_STATE_", "CallState": "CALL_STATE_"}
	for name, values := range enums {
		enum := greenlanev1.File_greenlane_v1_types_proto.Enums().ByName(protoreflect.Name(name))
		if enum == nil {
			t.Errorf("enum %s is missing", name)
			continue
		}
		for i, value := range strings.Fields(values) {
			got := enum.Values().ByName(protoreflect.Name(prefixes[name] + value))
			if got == nil || int(got.Number()) != i+1 {
				t.Errorf("%s%s is missing or not number %d: %v", prefixes[name], value, i+1, got)
			}
		}
	}
}

// JSON readers find counts as numbers, not as text: counts named outside are
// 32 bits wide.
func TestCountsAreJSONNumbers(t *testing.T) {
	for _, m := range []protoreflect.ProtoMessage{
		&greenlanev1.TierSnapshot{}, &greenlanev1.TierCounts{}, &greenlanev1.ReconcileResponse{},
		&greenlanev1.CallArrivedResponse{}, &greenlanev1.Callback{}, &greenlanev1.AgentQueue{},
	} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			switch f := fields.Get(i); f.Kind() {
			case protoreflect.Int64Kind, protoreflect.Uint64Kind:
				t.Errorf("%s is text in JSON", f.FullName())
			default:
			}
		}
	}
}
