// When does an agent run its tests? Whether that goes with success, the memory finds out by itself: an extractor only says
// what it sees, and how the episodes ended is what its patterns are rated by.

export const extractor = {
  interface: 1,
  name: "test-habits",
  description: "Whether tests are run before, between or after the changes to files, or not at all.",
};

const TESTS =
  /\b(pytest|cargo (test|nextest)|go test|(npm|pnpm|yarn) (run )?test|jest|vitest|mvn test|gradle test|ctest|rspec|phpunit|dotnet test|make (test|check))\b/;
const CHANGE = /^(edit|multiedit|write|notebookedit|apply_patch|str_replace|create_file|patch)/i;

const runsTests = (step) => TESTS.test(`${step.tool} ${step.args ?? ""}`);
const changesFile = (step) => step.ok && CHANGE.test(step.tool);

export default function (episode) {
  const changes = episode.steps.filter(changesFile);
  if (changes.length === 0) return [];
  const [first, last] = [changes[0].step, changes[changes.length - 1].step];
  const tests = episode.steps.filter(runsTests);
  if (tests.length === 0) return [{ text: "files are changed and no test is ever run" }];

  const findings = [];
  const see = (text, test) => {
    if (test) findings.push({ text, detail: `step ${test.step}: ${test.tool} ${test.args ?? ""}` });
  };
  see("tests are run before the first change to a file", tests.find((test) => test.step < first));
  see("tests are run between changes to files", tests.find((test) => first < test.step && test.step < last));
  see("tests are run after the last change to a file", tests.find((test) => test.step > last));
  return findings;
}
