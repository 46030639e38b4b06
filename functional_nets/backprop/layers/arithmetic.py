"""Two numbers multiplied, two numbers added: the nodes of the first computational graphs."""

from typing import Any

from functional_nets.backprop.layers.layer import Layer, pull_back


class Mul(Layer):
    """x · y: each factor's gradient is the other factor."""

    def forward(self, x: Any, y: Any) -> Any:
        """Return the product."""
        self.x, self.y, self.out = x, y, x * y
        return self.out

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """Return the gradients of both factors."""
        return pull_back("mul", self.upstream(dout), self.out, (self.x, self.y))  # type: ignore[return-value]


class Add(Layer):
    """x + y: the gradient goes to both."""

    def forward(self, x: Any, y: Any) -> Any:
        """Return the sum."""
        self.x, self.y, self.out = x, y, x + y
        return self.out

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """Return the gradients of both terms."""
        return pull_back("add", self.upstream(dout), self.out, (self.x, self.y))  # type: ignore[return-value]
