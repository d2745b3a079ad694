"""Vectors put into the grids of attention, and back, by one gather in either direction."""

from torch.autograd import Function


class Gather(Function):
    """`Gather.apply(x, there, back)`: x[there], (n, width), of vectors x (m, width).

    `back`: where in the result each vector of x stands, (m,), or for one that is surplus any place that has no
    gradient. With it the gradient is gathered as well, instead of summed up. None: no two vectors of the result that
    have a gradient are the same of x, so the gradient is written to where they came from.
    """

    @staticmethod
    def forward(ctx, x, there, back):
        ctx.save_for_backward(there, back)
        ctx.count = len(x)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx, gradient):
        there, back = ctx.saved_tensors
        if back is not None:
            return gradient.index_select(0, back), None, None
        return gradient.new_zeros(ctx.count, gradient.shape[1]).index_copy_(0, there, gradient), None, None
