package queue

import "slices"

// Clone returns a result that stays as it is whatever the machine does next.
func (r *Result) Clone() Result {
	out := *r
	if r.lasting {
		return out
	}
	if r.Call != nil {
		out.Call = r.Call.Clone()
	}
	if r.Agent != nil {
		out.Agent = r.Agent.Clone()
	}
	if r.Offer != nil {
		o := *r.Offer
		if o.Call != nil {
			o.Call = o.Call.Clone()
		}
		if o.Callback != nil {
			cb := *o.Callback
			o.Callback = &cb
		}
		out.Offer = &o
	}
	if r.Callback != nil {
		cb := *r.Callback
		out.Callback = &cb
	}
	out.Items = slices.Clone(r.Items)
	return out
}

// Clone returns a deep copy.
func (c *Call) Clone() *Call {
	out := *c
	out.Attributes = slices.Clone(c.Attributes)
	out.DeclinedBy = slices.Clone(c.DeclinedBy)
	out.Events = slices.Clone(c.Events)
	return &out
}

// Clone returns a deep copy.
func (a *Agent) Clone() *Agent {
	out := *a
	out.Services = slices.Clone(a.Services)
	return &out
}
