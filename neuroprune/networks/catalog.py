"""The catalogues of layers, neurons and optimisers for recipes; each type lists the names in the one below it."""

from typing import Literal

from neuroprune.choices import Choice

LAYERS = (
    Choice("conv", "convolution, BatchNorm, neurons"),
    Choice("depthwise", "convolution of each channel by itself, BatchNorm, neurons"),
    Choice("block", "residual blocks in a row"),
    Choice("linear", "fully connected layer, neurons"),
    Choice("pool", "average or maximum over windows, or the average over the whole map"),
    Choice("dropout", "spikes dropped at random while training"),
)

PoolKind = Literal["average", "max", "global"]
POOLS = (
    Choice("average", "mean over windows"),
    Choice("max", "maximum over windows"),
    Choice("global", "mean over the whole map"),
)

BlockKind = Literal["td", "sew", "ms", "preact"]
BLOCKS = (
    Choice("td", "spikes in and out, the shortcut added to the current of the last neurons", "Zheng et al., AAAI 2021"),
    Choice(
        "sew", "spikes in, sums of spikes out, the shortcut added after the last neurons", "Fang et al., NeurIPS 2021"
    ),
    Choice("ms", "currents in and out, the shortcut joins membrane to membrane", "Hu et al. 2021"),
    Choice(
        "preact",
        "currents in and out, normalisation and channel selection before the first neurons",
        "He et al., ECCV 2016; Liu et al., ICCV 2017",
    ),
)

NeuronKind = Literal["lif", "plif", "if"]
NEURONS = (
    Choice("lif", "leaky integrate-and-fire: v += (x - v) / tau"),
    Choice("plif", "the same with a tau for each layer that training learns", "Fang et al., ICCV 2021"),
    Choice("if", "integrate-and-fire: v += x"),
)

ResetKind = Literal["zero", "subtract"]
RESETS = (
    Choice("zero", "a spike sets the potential to 0"),
    Choice("subtract", "a spike subtracts the threshold from the potential"),
)

SurrogateKind = Literal["atan", "sigmoid", "erf", "soft_sign", "piecewise_quadratic"]
SURROGATES = (
    Choice("atan", "slope alpha / (2 (1 + (pi alpha u / 2)^2))", "surrogate.ATan of SpikingJelly"),
    Choice("sigmoid", "slope alpha s (1 - s), s = 1 / (1 + exp(-alpha u))", "surrogate.Sigmoid of SpikingJelly"),
    Choice("erf", "slope alpha exp(-(alpha u)^2) / sqrt(pi)", "surrogate.Erf of SpikingJelly"),
    Choice("soft_sign", "slope alpha / (2 (1 + alpha |u|)^2)", "surrogate.SoftSign of SpikingJelly"),
    Choice(
        "piecewise_quadratic",
        "slope alpha - alpha^2 |u|, 0 beyond |u| = 1 / alpha",
        "surrogate.PiecewiseQuadratic of SpikingJelly",
    ),
)

ReadoutKind = Literal["spikes", "voltage"]
READOUTS = (
    Choice("spikes", "the score of a class is the firing rate of neurons after the classifier"),
    Choice("voltage", "the score of a class is the mean over time of the classifier's output"),
)

OptimizerKind = Literal["adamw", "sgd"]
OPTIMIZERS = (
    Choice("adamw", "Adam with decoupled weight decay", "Loshchilov and Hutter, ICLR 2019"),
    Choice("sgd", "stochastic gradient descent with momentum"),
)

LossKind = Literal["cross-entropy", "mse"]
LOSSES = (
    Choice("cross-entropy", "cross-entropy of the scores, times 5 as logits"),
    Choice("mse", "mean squared error of the scores against 1 for the class and 0 for the others"),
)

ScheduleKind = Literal["cosine", "step"]
SCHEDULES = (
    Choice("cosine", "the learning rate falls to 0 along half a cosine", "Loshchilov and Hutter, ICLR 2017"),
    Choice("step", "the learning rate falls to a tenth at each milestone"),
)
