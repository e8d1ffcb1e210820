// The three-step workflow as a Restate service: each step's outcome is recorded before the next one starts.
// Node before 22 lacks what the client library takes for granted.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};
const restate = await import("@restatedev/restate-sdk");

const three = restate.service({
  name: "three",
  handlers: {
    run: async (ctx) => {
      const first = await ctx.run("first", () => 1);
      const second = await ctx.run("second", () => first + 1);
      return { third: await ctx.run("third", () => second + 1) };
    },
  },
});
await restate.serve({ services: [three], port: 9180 });
