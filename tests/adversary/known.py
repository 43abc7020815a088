"""What was once found: problems whose result lay outside its bound, by symptom."""
from __future__ import annotations
import nc1fast as nc
from tests.adversary.problems import Problem
from itertools import product as cross

def P(kernel, sizes=(4,4,4), n_features=8, seeds=range(40), **kw):
    return [Problem(kernel, sizes, n_features, seed=s, **kw) for s in seeds]

LR=nc.LeakyReLU
CANDIDATES = {
 "1a erf30 v10 sd1e-6": P(nc.NNGP("erf",30,10.0), spread=1e-6),
 "1b erf60 v5 sd1e-7": P(nc.NNGP("erf",60,5.0), spread=1e-7),
 "1c erf20 v100": [p for s in (1e-6,1e-7,1e-8) for p in P(nc.NNGP("erf",20,100.0), spread=s, seeds=range(20))],
 "1d sin6 v900": [p for s in (1e-6,1e-5,1e-4,1e-3,1e-7,1e-8) for p in P(nc.NNGP("sin",6,900.0), spread=s, seeds=range(20))],
 **{f"1e {a} long rows close classes": [p for l,c,k in cross((1e7,3e7,1e8),(1e7,1e8),(nc.NNGP,)) for p in P(k(a), length=l/c, spread=sp, twists=(("offset",c),),seeds=range(10)) for sp in (1.,)] if False else
    [p for c in (1e7,1e8) for l in (.1,1.,10.) for p in P(nc.NNGP(a), length=l, spread=.3, twists=(("offset",c/l),),seeds=range(10))] for a in ("erf","gaussian","sin","probit")},
 **{f"1f {a} two rows": [p for L in (4,5,6) for p in P(nc.NNGP(a,L,1.0,.1), spread=.5, twists=(("two",1e-7),), seeds=range(10))] for a in ("sign","step")},
 "2 overflow erf20 v30": P(nc.NNGP("erf",20,30.0), spread=1e-8),
 "2 overflow erf30 v10": P(nc.NNGP("erf",30,10.0), spread=1e-8),
 "2 overflow erf60 v5": P(nc.NNGP("erf",60,5.0), spread=1e-8),
 **{f"3 float32 NTK {a} sd {sd}": P(nc.NTK(a), spread=sd, dtype="float32", seeds=range(20)) for a in ("relu","abs",LR(.2)) for sd in (1e-13,1e-14,4e-16)},
 "4 NTK erf 1e48": P(nc.NTK("erf"), length=1e48, spread=1.),
 "4 NTK erf 1e45": P(nc.NTK("erf"), length=1e45, spread=1.),
 "4 NTK probit f32 1e7": P(nc.NTK("probit"), length=1e7, spread=1., dtype="float32"),
 **{f"8a sign depth {L} {t}": P(nc.NNGP("sign",L), spread=.5, twists=((t,0.0),)) for L in (3,5,8) for t in ("collinear","opposite")},
 **{f"8b {k.activation if hasattr(k,'activation') else 'Linear'} norms {r:g}": P(k, spread=.3, twists=(("norms",r),), seeds=range(20)) for k,rs in ((nc.NNGP("sign"),(1e3,1e6,1e16)),(nc.NNGP("erf"),(1e8,1e12)),(nc.NNGP("sin"),(1e12,1e16)),(nc.Linear(),(1e16,1e20))) for r in rs},
 "8c NTK erf 1e6+1e-3Z": P(nc.NTK("erf"), length=1e-3, spread=.3, twists=(("offset",1e9),)),
 "8c NTK erf 1e5+.1Z": P(nc.NTK("erf"), length=.1, spread=.3, twists=(("offset",1e6),)),
 "8d cos64": P(nc.NNGP("cos",64,10.0,.1), spread=.3),
 "8d cos64 small": P(nc.NNGP("cos",64,10.0,.1), spread=.01),
 "8d NTK cos6 bias 1e6 mixed": P(nc.NTK("cos",6,1.0,(0.0,1e6,1e6,1e6,1e6,0.0)), spread=.3,dtype="mixed"),
 "8d sin3 bias 100": P(nc.NNGP("sin",3,1.0,(0.0,100.0,0.0)), spread=.3),
 "8d sin3 bias 100 small": P(nc.NNGP("sin",3,1.0,(0.0,100.0,0.0)), spread=1e-3),
 "8e 1e-161": P(nc.NNGP("relu"), length=1e-161, spread=.3),
 "8e 1e-161 ntk std": P(nc.NTK("erf"), length=1e-161, spread=.3),
 "8e 1e-161 sign": P(nc.NNGP("sign"), length=1e-161, spread=.3),
 "8e 1e-155 relu bias": P(nc.NNGP("relu",2,1.0,.1), length=1e-155, spread=.3),
 "8e w 1e-320": P(nc.NNGP("erf",2,1e-320,.1), spread=.3),
 "8e w 1e-320 sign": P(nc.NNGP("sign",2,1e-320), spread=.3),
 "8e w 1e-320 relu": P(nc.NNGP("relu",2,1e-320,(0.0,.1)), spread=.3),
 "8e x 1e46": P(nc.NNGP("erf"), length=1e46, spread=.3)+P(nc.NNGP("sign"), length=1e47, spread=.3)+P(nc.NTK("erf"), length=1e47, spread=.3),
 "8e x 1e46 gaussian": P(nc.NNGP("gaussian"), length=1e46, spread=.3)+P(nc.NNGP("gelu"), length=1e46, spread=.3),
 "8f NTK relu bias untrained": [p for b in (1.,10.,100.,1000.,1e4,1e6) for p in P(nc.NTK("relu",2,1.0,b,train_bias=False), spread=.3, seeds=range(10))],
 "8f NTK relu bias untrained collapsed": [p for b in (1.,10.,100.,1000.,1e4,1e6) for p in P(nc.NTK("relu",2,1.0,b,train_bias=False), spread=1e-6, seeds=range(10))],
 "8f NTK erf standard": P(nc.NTK("erf",parametrization="standard",width=100), spread=1e-8),
 "8g NTK erf 1e7+Z shortcut": [p for d in (1,2) for p in P(nc.NTK("erf"), n_features=d, twists=(("offset",1e7),), method="shortcut",seeds=range(20))],
 "8g scale 300 one feature": [p for k in (nc.NTK("erf"),nc.NNGP("erf"),nc.NTK("gelu"),nc.NNGP("sin"), nc.NNGP("gelu"),nc.NTK("sin")) for p in P(k, n_features=1, length=300.0, method="shortcut",seeds=range(20))],
 "8h gram gelu 1e3": P(nc.NTK("gelu"), length=1e3, spread=.3),
}
if __name__ == "__main__":
    import warnings; warnings.simplefilter("ignore")
    from tests.adversary.verdict import judge
    import collections
    for name, problems in CANDIDATES.items():
        c=collections.Counter(); worst=(0,None,None); gram=0; wr=0; infl=0
        for p in problems:
            v=judge(p, gram="gram" in name or p.seed==0)
            c[v.status+(":"+v.what if v.status in ("refused","crash") else "")]+=1
            m=max(v.ratio, v.within_ratio if v.within_ratio==v.within_ratio else 0, v.between_ratio if v.between_ratio==v.between_ratio else 0)
            if v.gram_ratio==v.gram_ratio: gram=max(gram,v.gram_ratio)
            if m>worst[0]: worst=(m,p,v)
        m,p,v=worst
        print(f"{name:40s} {dict(c)} worst {m:.3g} gram {gram:.3g}", "" if v is None else f"seed {p.seed} {p.length} {p.spread}: nc1 {v.nc1:.6g} +- {v.bound:.2g} truth {v.truth:.6g}; ratios {v.ratio:.2g} {v.within_ratio:.2g} {v.between_ratio:.2g}")
