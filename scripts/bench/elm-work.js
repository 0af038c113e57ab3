// The least work of a step of the Branch-ELM on a batch of 500 ms windows: floating-point operations, and bytes to and from the
// memory of the GPU if every intermediate that the backward pass needs is written once and read once, and nothing else is.
const [steps, branches, spikesPerStep, synapsesPerInput] = [500, 45, 14.1, 4500 / 1278];

export function work(memory, batch, training) {
  const hidden = 2 * memory;
  const rows = batch * steps;
  const events = spikesPerStep * synapsesPerInput;
  const products = branches * hidden + 2 * memory * hidden + 2 * memory;
  // Backward, every product has two: one for the gradient of its input, one for that of its weights.
  const multiplyAdds = training ? 3 * products + 2 * events + 2 * branches : products + events + branches;
  const forward = 2 * branches + hidden + memory + 2;
  const kept = 2 * branches + 2 * hidden + 2 * memory + 2;
  const gradients = 2 * branches + hidden + 2 * memory + 2;
  const floats = training ? 2 * (kept + gradients) : 2 * forward;
  return { floatOperations: 2 * rows * multiplyAdds, bytes: 4 * rows * floats + 2 * rows * spikesPerStep };
}
