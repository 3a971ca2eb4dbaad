"""Trains the learned matcher of percept-register on drawn pairs (`register_pool.py`) and writes its weights.

    python tests/reference/register_pool.py POOL --pairs 5000
    python tests/reference/train_register_matcher.py POOL --minutes 40 --out matcher.pt
    python tests/reference/register_matcher_export.py matcher.pt

The weights that are part of the program: a pool of 4550 pairs, 31 minutes (3,400 pairs) before similarity knew of histograms, then 26
minutes (`--resume`, `--rate 0.001`, 4,900 pairs), both on about a third of a processor core.
"""

import argparse
import math
import pickle
import random
import time
from pathlib import Path

import numpy as np
import torch
from register_matcher import Matcher, patches_of

# Super-points of two clouds are the same thing when they lie within this share of what lies between super-points.
SAME, GONE, NEAR = 1.0, 2.5, 1.2
# Key points whose features are asked.
SAMPLED = 400
# In the first part of the time only pairs that overlap so much, with so few points anywhere.
EASY, EASY_OVERLAP, EASY_OUTLIERS = 0.2, 0.5, 0.25


def prepared(cloud, truth=None, keep=1.0, most=10_000):
    """Tensors of a cloud in its unit, moved by the truth; `keep` is the share of super-points that stay."""
    points = cloud["points"].astype(np.float64)
    normals = cloud["normals"].astype(np.float32)
    if truth is not None:
        points = points @ truth[:3, :3].T + truth[:3, 3]
        normals = normals @ truth[:3, :3].T.astype(np.float32)
    nodes = cloud["nodes"].astype(np.int64)
    nodes = np.sort(np.random.permutation(nodes)[: max(min(int(len(nodes) * keep), most), 8)])
    return {
        "points": torch.from_numpy((points / cloud["unit"]).astype(np.float32)), "normals": torch.from_numpy(normals),
        "features": torch.from_numpy(cloud["features"].astype(np.float32)), "nodes": torch.from_numpy(nodes),
    }


def sampled(source, target):
    """Key points that are asked: some of the source at random, those of the target where these are, and others."""
    a, b = source["points"], target["points"]
    source["sampled"] = torch.randperm(len(a))[:SAMPLED]
    distance, there = torch.cdist(a[source["sampled"]], b).min(1)
    there = there[distance < NEAR].unique()
    others = torch.randperm(len(b))
    others = others[~torch.isin(others, there)][: SAMPLED - len(there)]
    target["sampled"] = torch.cat([there, others])
    for cloud in (source, target):
        cloud["patches"] = patches_of(cloud["points"], torch.cat([cloud["nodes"], cloud["sampled"]]))


def apart(cloud):
    nodes = cloud["points"][cloud["nodes"]]
    return torch.cdist(nodes, nodes).kthvalue(2)[0].median()


def coarse_loss(plan, source, target):
    s, t = source["points"][source["nodes"]], target["points"][target["nodes"]]
    same = torch.cdist(s, t) < SAME * torch.maximum(apart(source), apart(target))
    gone_s = torch.cdist(s, target["points"]).amin(1) > GONE
    gone_t = torch.cdist(t, source["points"]).amin(1) > GONE
    parts = []
    for plan, same, gone in ((plan, same, gone_s), (plan.T, same.T, gone_t)):
        row = plan[:-1, :-1].masked_fill(~same, -1e4).logsumexp(1)[same.any(1) & ~gone]
        parts += [row, plan[:-1, -1][gone]]
    right = torch.cat([parts[0], parts[2]])
    none = torch.cat([parts[1], parts[3]])
    loss = -(right.mean() if len(right) else 0.0) - 0.5 * (none.mean() if len(none) else 0.0)
    return loss, right.exp().mean().item() if len(right) else float("nan")


def fine_loss(logits, source, target):
    loss, hit, parts = 0.0, 0.0, 0
    distance = torch.cdist(source["points"][source["sampled"]], target["points"][target["sampled"]])
    for logits, distance in ((logits, distance), (logits.T, distance.T)):
        same = distance < NEAR
        there = same.any(1)
        if there.sum() < 8:
            continue
        logits, same = logits[there], same[there]
        loss = loss - (logits.masked_fill(~same, -1e4).logsumexp(1) - logits.logsumexp(1)).mean()
        hit += same.gather(1, logits.argmax(1, keepdim=True)).float().mean().item()
        parts += 1
    return loss / max(parts, 1), hit / max(parts, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--out", type=Path, default=Path("matcher.pt"))
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--resume", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    model = Matcher()
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    if options.resume:
        model.load_state_dict(torch.load(options.resume), strict=False)
    rate = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-3, betas=(0.9, 0.98))
    pool, known = [], set()
    began, step, log, order = time.time(), 0, [], []
    while (done := (time.time() - began) / 60 / options.minutes) < 1:
        if step % 50 == 0:  # The pool may still be growing.
            for path in sorted(options.pool.glob("1*.pickle")):
                if path.name not in known:
                    known.add(path.name)
                    pool += pickle.loads(path.read_bytes())
        for group in rate.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / (50 if options.resume else 200)) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for _ in range(options.batch):
            if not order:
                order = random.sample(range(len(pool)), len(pool))
            source, target, truth, about = pool[order.pop()]
            while done < EASY and not options.resume and (about["overlap"] < EASY_OVERLAP or about["outliers"] > EASY_OUTLIERS):
                source, target, truth, about = random.choice(pool)
            if random.random() < 0.5:
                source, target, truth = target, source, np.linalg.inv(truth)
            keep = random.uniform(0.5, 0.9)
            source, target = prepared(source, truth, keep, 230), prepared(target, None, keep, 230)
            sampled(source, target)
            plan, before, after = model(source, target)
            coarse, share = coarse_loss(plan, source, target)
            alone, hit_alone = fine_loss(before[0] @ before[1].T / math.sqrt(before[0].shape[1]), source, target)
            fine, hit = fine_loss(model.similarity(source, target, after), source, target)
            ((coarse + 0.3 * alone + fine) / options.batch).backward()
            log.append((coarse.item(), float(torch.as_tensor(alone).detach()), float(torch.as_tensor(fine).detach()), share, hit_alone, hit))
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        rate.step()
        rate.zero_grad()
        step += 1
        if step % 100 == 0:
            coarse, alone, fine, share, hit_alone, hit = np.nanmean(np.array(log), 0)
            log = []
            print(f"{(time.time() - began) / 60:.1f} min step {step} pool {len(pool)} coarse {coarse:.3f} alone {alone:.3f} fine {fine:.3f} share {share:.3f} hit alone {hit_alone:.3f} hit {hit:.3f} norm {norm:.2f} histograms {model.histograms.item():.2f}", flush=True)
            torch.save(model.state_dict(), options.out)
    torch.save(model.state_dict(), options.out)


if __name__ == "__main__":
    main()
