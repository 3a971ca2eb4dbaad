"""The learned matcher of percept-register in PyTorch: what is trained, and what the Rust code is compared with.

Point-pair features in patches (PPFNet: Deng et al. 2018; RoITr: Yu et al. 2023), geometric self-attention and cross-attention by turns
(GeoTransformer: Qin et al. 2022, with the mean of the angles), optimal transport with a dustbin (SuperGlue: Sarlin et al. 2020).
The network sees distances, angles and histograms only: nothing changes when a cloud is turned.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, ROUNDS, NEIGHBORS = 64, 4, 3, 3
# Waves of the structure: those of a distance, the first of them for an angle, and the longest over the shortest.
WAVES, ANGLE_WAVES, SPAN = 8, 4, 64.0
SIGMA_DISTANCE, SIGMA_ANGLE, RADIUS, ITERATIONS, CONTEXT = 2.0, 15.0, 7.0, 10, 4
# Squared differences of histograms that count as one.
HISTOGRAMS = 2000.0
# Points of a patch.
PATCH = 32
FREQUENCIES = torch.exp(torch.arange(WAVES) * (-math.log(SPAN) / WAVES))


def waves(values, frequencies):
    """Sines and cosines of `values`, one after the other."""
    angles = values.unsqueeze(-1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


# Training reads waves from a table: sines would take half of its time.
ROWS = 64
TABLE = waves((torch.arange(ROWS * 400) + 0.5) / ROWS, FREQUENCIES)


def structure(points, quick=False):
    """[n, 3] to [n, n, 2 * (WAVES + ANGLE_WAVES)]: distances of super-points, and angles with the nearest of each."""
    between = points.unsqueeze(0) - points.unsqueeze(1)  # from the first to the second
    distance = between.norm(dim=-1)
    nearest = distance.topk(NEIGHBORS + 1, largest=False)[1][:, 1:]
    ways = torch.take_along_dim(between, nearest.unsqueeze(-1).expand(-1, -1, 3), 1)  # [n, k, 3]
    sine = torch.linalg.cross(ways.unsqueeze(1), between.unsqueeze(2)).norm(dim=-1)
    cosine = (ways.unsqueeze(1) * between.unsqueeze(2)).sum(-1)
    angle = torch.atan2(sine, cosine) * (180 / math.pi / SIGMA_ANGLE)
    distance = distance / SIGMA_DISTANCE
    if quick:
        return torch.cat([F.embedding((distance * ROWS).long(), TABLE), F.embedding((angle * ROWS).long(), TABLE[:, : 2 * ANGLE_WAVES]).mean(2)], -1)
    return torch.cat([waves(distance, FREQUENCIES), waves(angle, FREQUENCIES[:ANGLE_WAVES]).mean(2)], -1)


def patches_of(points, chosen):
    """Points around each that is chosen, nearer than the radius, evenly by their number: [m, PATCH]. Itself where there are too few."""
    near = (torch.cdist(points[chosen], points) < RADIUS).numpy()
    near[np.arange(len(chosen)), chosen.numpy()] = False
    count = near.sum(1, keepdims=True)
    found = np.append(np.nonzero(near)[1], 0)
    first = np.cumsum(count) - count[:, 0]
    place = np.arange(PATCH)[None]
    inside = np.where(count > PATCH, place * count // PATCH, np.minimum(place, np.maximum(count - 1, 0)))
    around = found[first[:, None] + inside]
    return torch.from_numpy(np.where((place < count) | (count > PATCH), around, chosen.numpy()[:, None]))


def point_pairs(points, normals, nodes, patches):
    """Four numbers for each chosen point and each point of its patch: [m, k, 4]."""
    way = points[patches] - points[nodes].unsqueeze(1)
    distance = way.norm(dim=-1)
    unit = way / distance.clamp_min(1e-6).unsqueeze(-1)
    own = normals[nodes]
    # The patch lies behind its super-point; the others' normals look to the same side.
    own = torch.where((own * way.sum(1)).sum(-1, keepdim=True) > 0, -own, own).unsqueeze(1)
    other = normals[patches]
    along = (own * other).sum(-1, keepdim=True)
    other = torch.where(along < 0, -other, other)
    return torch.stack([distance / RADIUS, (own * unit).sum(-1), (other * unit).sum(-1), along.squeeze(-1).abs()], -1)


def transport(scores, dustbin, iterations=ITERATIONS):
    """Log of the plan with a row and a column for what has no partner: [m + 1, n + 1]."""
    m, n = scores.shape
    full = torch.cat([torch.cat([scores, dustbin.expand(m, 1)], 1), dustbin.expand(1, n + 1)], 0)
    norm = -math.log(m + n)
    rows = torch.cat([torch.full((m,), norm), torch.tensor([math.log(n) + norm])])
    columns = torch.cat([torch.full((n,), norm), torch.tensor([math.log(m) + norm])])
    u, v = torch.zeros(m + 1), torch.zeros(n + 1)
    for _ in range(iterations):
        u = rows - (full + v).logsumexp(1)
        v = columns - (full + u.unsqueeze(1)).logsumexp(0)
    return full + u.unsqueeze(1) + v - norm


class Heads(nn.Module):
    def __init__(self, structured):
        super().__init__()
        self.proj_q, self.proj_k, self.proj_v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        if structured:
            self.proj_p = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, memory, shape, embedding):
        heads = lambda y: y.view(-1, HEADS, WIDTH // HEADS).transpose(0, 1)  # noqa: E731
        q, k, v = heads(self.proj_q(x)), heads(self.proj_k(memory)), heads(self.proj_v(memory))
        scores = q @ k.transpose(1, 2)
        if shape is not None:
            # q . (P E s) = (E' P' q) . s: no pair's embedding is ever made. Biases add the same to all keys: softmax does not see them.
            projection = (self.proj_p.weight @ embedding).view(HEADS, WIDTH // HEADS, -1)
            scores = scores + torch.bmm(torch.einsum("hnc,hcb->nhb", q, projection), shape.transpose(1, 2)).transpose(0, 1)
        seen = (scores / math.sqrt(WIDTH // HEADS)).softmax(-1) @ v
        return seen.transpose(0, 1).reshape(-1, WIDTH)


class Attention(nn.Module):
    def __init__(self, structured):
        super().__init__()
        self.attention, self.linear, self.norm = Heads(structured), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)


class Output(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand, self.squeeze, self.norm = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH), nn.LayerNorm(WIDTH)


class Layer(nn.Module):
    def __init__(self, structured):
        super().__init__()
        self.attention, self.output = Attention(structured), Output()

    def forward(self, x, memory, shape=None, embedding=None):
        x = self.attention.norm(x + self.attention.linear(self.attention.attention(x, memory, shape, embedding)))
        return self.output.norm(x + self.output.squeeze(F.relu(self.output.expand(x))))


class Embedding(nn.Module):
    """What `GeometricStructureEmbedding` has, on fewer waves, with the mean of the angles."""

    def __init__(self):
        super().__init__()
        self.proj_d, self.proj_a = nn.Linear(2 * WAVES, WIDTH), nn.Linear(2 * ANGLE_WAVES, WIDTH)


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Layer(at % 2 == 0) for at in range(2 * ROUNDS))


class GeometricTransformer(nn.Module):
    """The authors' network of that name (their names of weights), made to be trained on one processor core."""

    def __init__(self):
        super().__init__()
        self.embedding, self.in_proj = Embedding(), nn.Linear(WIDTH, WIDTH)
        self.transformer, self.out_proj = Layers(), nn.Linear(WIDTH, WIDTH)

    def forward(self, s, t, shape_s, shape_t):
        embedding = torch.cat([self.embedding.proj_d.weight, self.embedding.proj_a.weight], 1)
        s, t = self.in_proj(s), self.in_proj(t)
        for at, layer in enumerate(self.transformer.layers):
            if at % 2 == 0:
                s, t = layer(s, s, shape_s, embedding), layer(t, t, shape_t, embedding)
            else:
                s = layer(s, t)
                t = layer(t, s)
        return self.out_proj(s), self.out_proj(t)


class Transport(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(1.0))


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.describe_in, self.describe_out = nn.Linear(33, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.patch_feature, self.patch_pair = nn.Linear(WIDTH, WIDTH), nn.Linear(4, WIDTH, bias=False)
        self.patch_out, self.patch_in = nn.Linear(WIDTH, WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.node_norm = nn.LayerNorm(WIDTH)
        self.transformer, self.transport = GeometricTransformer(), Transport()
        self.point_own, self.point_context = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.point_out = nn.Linear(WIDTH, WIDTH)
        # What a difference of histograms counts, squared.
        self.histograms = nn.Parameter(torch.tensor(1.5))

    def similarity(self, source, target, features):
        """Of the key points that were asked: products of their features, less how far their histograms differ."""
        histograms = [cloud["features"][cloud["sampled"]] for cloud in (source, target)]
        apart = torch.cdist(*histograms).square() / HISTOGRAMS
        return features[0] @ features[1].T / math.sqrt(WIDTH) - self.histograms * apart

    def describe(self, cloud, chosen):
        """What is around chosen key points."""
        points, patches = cloud["points"], cloud["patches"]
        own = self.describe_out(F.relu(self.describe_in((cloud["features"].clamp_min(0) / 200).sqrt())))
        pairs = self.patch_pair(point_pairs(points, cloud["normals"], chosen, patches))
        around = self.patch_out(F.relu(self.patch_feature(own)[patches] + pairs)).max(1)[0]
        return self.patch_in(torch.cat([own[chosen], around], 1))

    def features(self, points, own, places, nodes):
        """Features of key points from their own and those of the super-points around them."""
        squared = torch.cdist(points, places).square()
        nearest, at = squared.topk(CONTEXT, largest=False)
        weight = 1 / (nearest + 1.0)
        weight = weight / weight.sum(1, keepdim=True)
        context = (self.point_context(nodes)[at] * weight.unsqueeze(-1)).sum(1)
        return own + self.point_out(F.relu(self.point_own(own) + context))

    def forward(self, source, target):
        """Log of the transport plan of super-points, and features of chosen key points of both, before and after the transformer.

        A cloud has `points` [n, 3], `normals`, `features` [n, 33], `nodes` [m] (super-points), `sampled` [k] (key points that are
        asked) and `patches` [m + k, PATCH] of both.
        """
        own, shape, places = [], [], []
        for cloud in (source, target):
            own.append(self.describe(cloud, torch.cat([cloud["nodes"], cloud["sampled"]])))
            places.append(cloud["points"][cloud["nodes"]])
            shape.append(structure(places[-1], self.training))
        count = [len(cloud["nodes"]) for cloud in (source, target)]
        s, t = (self.node_norm(own[side][: count[side]]) for side in (0, 1))
        s, t = self.transformer(s, t, *shape)
        plan = transport(s @ t.T / math.sqrt(WIDTH), self.transport.alpha)
        before = [own[side][count[side] :] for side in (0, 1)]
        after = [self.features(cloud["points"][cloud["sampled"]], before[side], places[side], nodes) for side, (cloud, nodes) in enumerate(((source, s), (target, t)))]
        return plan, before, after

    def matches(self, source, target, plan, features):
        """Pairs of asked key points that are each other's likeliest: [k, 2]. What lies by super-points that are transported to each
        other is likelier."""
        near = [torch.cdist(cloud["points"][cloud["sampled"]], cloud["points"][cloud["nodes"]]).topk(3, largest=False)[1] for cloud in (source, target)]
        shares = plan[:-1, :-1].exp()[near[0]].mean(1)[:, near[1]].mean(2)
        scores = self.similarity(source, target, features) + 0.5 * (shares + 1e-4).log()
        scores = scores.log_softmax(0) + scores.log_softmax(1)
        forth, back = scores.argmax(1), scores.argmax(0)
        at = torch.arange(len(forth))
        return torch.stack([at, forth], 1)[back[forth] == at]
