// What takes more than one round with the client (2026-07-28, multi round-trip requests): the tools and the prompt that
// the suite's scenarios `input-required-result-*` name.

import { done, form, sample, text } from "./content.mjs";

const ROOTS = { method: "roots/list", params: {} };

const confirmed = async (_, request) => {
  await request.ask({ confirm: form("Please confirm", { ok: { type: "boolean" } }, ["ok"]) }, { confirming: true });
  return done(request.state?.confirming ? "state-ok" : "there was no state");
};

export const rounds = {
  tools: [
    {
      name: "test_input_required_result_elicitation",
      description: "Asks the user for a name",
      call: async (_, request) => {
        const { user_name } = await request.ask({ user_name: form("What is your name?", { name: { type: "string" } }, ["name"]) });
        return done(`Hello, ${user_name.content?.name}!`);
      },
    },
    {
      name: "test_input_required_result_sampling",
      description: "Asks the client's model",
      call: async (_, request) => {
        const question = { capital_question: sample("What is the capital of France?", 100) };
        const { capital_question } = await request.ask(question);
        return done(capital_question.content.text);
      },
    },
    {
      name: "test_input_required_result_list_roots",
      description: "Asks for the client's roots",
      call: async (_, request) => {
        const { client_roots } = await request.ask({ client_roots: ROOTS });
        return done(`Roots: ${client_roots.roots.map(({ uri }) => uri).join(", ")}`);
      },
    },
    {
      name: "test_input_required_result_request_state",
      description: "Asks with state",
      call: confirmed,
    },
    {
      name: "test_input_required_result_tampered_state",
      description: "Asks with state that must come back as it was",
      call: confirmed,
    },
    {
      name: "test_input_required_result_multiple_inputs",
      description: "Asks for three things at once",
      call: async (_, request) => {
        const requests = {
          user_name: form("What is your name?", { name: { type: "string" } }, ["name"]),
          greeting: sample("Generate a greeting", 50),
          client_roots: ROOTS,
        };
        const { user_name, greeting, client_roots } = await request.ask(requests, { asked: 3 });
        return done(`${greeting.content.text}, ${user_name.content?.name}: ${client_roots.roots.length} roots`);
      },
    },
    {
      name: "test_input_required_result_multi_round",
      description: "Asks twice",
      call: async (_, request) => {
        const first = { step1: form("Step 1: What is your name?", { name: { type: "string" } }, ["name"]) };
        const name = request.state?.name ?? (await request.ask(first, { round: 1 })).step1.content?.name;
        const second = { step2: form("Step 2: What is your favorite color?", { color: { type: "string" } }, ["color"]) };
        const { step2 } = await request.ask(second, { round: 2, name });
        return done(`${name} likes ${step2.content?.color}`);
      },
    },
    {
      name: "test_input_required_result_capabilities",
      description: "Asks for what the client can do",
      call: async (_, request) => {
        const able = request.capabilities ?? {};
        const requests = {
          ...(able.elicitation && { user_name: form("What is your name?", { name: { type: "string" } }, ["name"]) }),
          ...(able.sampling && { greeting: sample("Generate a greeting", 50) }),
          ...(able.roots && { client_roots: ROOTS }),
        };
        return done(Object.keys(await request.ask(requests)).join(", "));
      },
    },
  ],
  prompts: [
    {
      name: "test_input_required_result_prompt",
      description: "A prompt that asks the user for its context",
      get: async (_, request) => {
        const question = form("What context should the prompt use?", { context: { type: "string" } }, ["context"]);
        const { user_context } = await request.ask({ user_context: question });
        return { messages: [{ role: "user", content: text(`Context: ${user_context.content?.context}`) }] };
      },
    },
  ],
};
