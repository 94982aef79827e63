// The small parts that answers and questions of the fixture are made of.

export const text = (text) => ({ type: "text", text });

// The result of a tool that has one thing to say.
export const done = (said) => ({ content: [text(said)] });

// A form for the user.
export const form = (message, properties, required) => ({
  method: "elicitation/create",
  params: { message, requestedSchema: { type: "object", properties, ...(required && { required }) } },
});

// A question to the client's model.
export const sample = (prompt, maxTokens) => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: text(prompt) }], maxTokens },
});
