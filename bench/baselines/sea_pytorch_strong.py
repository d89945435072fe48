"""The strongest SEA that PyTorch lets us write: the same model as sea_pytorch.py, re-associated and with fewer, larger
operations. `sea_pytorch.py --opponent strong` runs it, and replays the golden cases with it.

  - the item linear layer is never computed: its heads' weights are multiplied with its weight first
  - both modalities are propagated in one sparse product, and q is fitted on both pairs at once
  - on a GPU with PyTorch 2: the dense parts are compiled, the 50 steps of the fit are one CUDA graph, Adam is fused
"""

import torch
import torch.nn.functional as F

from sea_pytorch import SEA, Trainer


def compiles(tensor):
    return tensor.is_cuda and hasattr(torch, "compile")


def heads(modality, settings):
    """The layers that read the item linear layer, by name, each with the columns it reads."""
    generic, width = modality.split[0], sum(modality.split)
    layers = {}
    if settings["align"] != "none":
        layers["head"] = (modality.head[0], slice(0, generic))
    if settings["distance"] != "none":
        layers["generic"] = (modality.generic_projection, slice(0, generic))
    layers["tower"] = (modality.tower[0], slice(0, width))
    if settings["distance"] != "none":
        layers["unique"] = (modality.unique_projection, slice(generic, width))
    return layers


def read_items(modality, settings):
    """The outputs of all heads: X (C W)^T + (C b + c) for the stacked heads C, c of a layer W, b."""
    weight, bias = modality.item_linear.weight, modality.item_linear.bias
    layers = heads(modality, settings)
    products = torch.cat([layer.weight @ weight[columns] for layer, columns in layers.values()])
    biases = torch.cat([layer.weight @ bias[columns] + layer.bias for layer, columns in layers.values()])
    outputs = torch.addmm(biases, modality.features, products.T)
    return dict(zip(layers, outputs.split([layer.out_features for layer, _ in layers.values()], dim=1)))


def modality_outputs(modality, settings):
    """Nodes (users then items) x e, and the heads' outputs."""
    outputs = read_items(modality, settings)
    hidden = modality.tower[1](F.leaky_relu(outputs["tower"]))
    return F.normalize(torch.cat((modality.user_embedding, hidden)), dim=1), outputs


def alignment_loss(visual, textual, temperature, symmetric):
    logits = textual @ visual.T / temperature
    itself = torch.arange(len(logits), device=logits.device)
    loss = F.cross_entropy(logits, itself)
    return (loss + F.cross_entropy(logits.T, itself)) / 2 if symmetric else loss


class StrongSEA(SEA):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.outputs_of, self.align = modality_outputs, alignment_loss
        if compiles(next(iter(self.buffers()))):
            self.compile_parts()

    def compile_parts(self):
        self.outputs_of, self.align = torch.compile(modality_outputs), torch.compile(alignment_loss)

    def forward(self):
        nodes, outputs = [], {}
        for name in self.modalities:
            own, outputs[name] = self.outputs_of(getattr(self, name), self.settings)
            nodes.append(own)
        nodes = total = torch.cat(nodes, dim=1)
        for _ in range(self.settings["n_ui_layers"]):
            nodes = torch.sparse.mm(self.interactions, nodes)
            total = total + nodes
        users, items = total[:self.users], total[self.users:]
        if len(self.modalities) == 2:
            width = self.settings["embedding_size"]
            users = users * self.user_modality_weight.squeeze(-1).repeat_interleave(width, dim=1)
        neighbours = items
        for _ in range(self.settings["n_mm_layers"]):
            neighbours = torch.sparse.mm(self.item_item, neighbours)
        return users, items + neighbours, outputs

    def projections(self, outputs):
        return {name: (own["generic"], own["unique"]) for name, own in outputs.items()}

    def alignment(self, outputs):
        visual, textual = (F.normalize(getattr(self, m).head[1:](outputs[m]["head"]), dim=1)
                           for m in ("visual", "textual"))
        return self.align(visual, textual, self.settings["temperature"], self.settings["align"] == "infonce")


class StrongTrainer(Trainer):
    """As Trainer; where the model's parts are compiled, the fit is replayed as one CUDA graph."""

    def __init__(self, model, settings):
        super().__init__(model, settings)
        self.graph = None
        self.captures = compiles(next(iter(model.buffers())))
        if self.captures:
            self.optimizer = torch.optim.Adam(model.model_parameters(), lr=settings["learning_rate"], fused=True)
            self.club_optimizer = torch.optim.Adam(model.club.parameters(), lr=settings["club_learning_rate"],
                                                   capturable=True)

    def fit_on(self, x, y, pairs):
        """All steps of the fit on the pairs one below the other; the mean over each counts once."""
        club, losses = self.model.club, []
        for _ in range(self.settings["club_steps"]):
            self.club_optimizer.zero_grad(set_to_none=True)
            loss = -pairs * club(x, y).mean()
            loss.backward()
            self.club_optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    def fit_club(self, projections):
        pairs = self.fit_pairs(projections)
        x, y = (torch.cat(side) for side in zip(*pairs))
        self.model.club.requires_grad_(True)
        losses = self.replay_fit(x, y, len(pairs)) if self.captures else self.fit_on(x, y, len(pairs))
        self.model.club.requires_grad_(False)
        return losses

    def replay_fit(self, x, y, pairs):
        if self.graph is None:
            self.capture_fit(x, y, pairs)
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()
        return self.losses

    def capture_fit(self, x, y, pairs):
        """A graph has to be warmed up on the arrays it will change: they are put back after."""
        self.x, self.y = x.clone(), y.clone()
        before = [parameter.detach().clone() for parameter in self.model.club.parameters()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.fit_on(self.x, self.y, pairs)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.club_optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.losses = self.fit_on(self.x, self.y, pairs)
        with torch.no_grad():
            for parameter, value in zip(self.model.club.parameters(), before):
                parameter.copy_(value)
                for state in self.club_optimizer.state[parameter].values():
                    state.zero_()
