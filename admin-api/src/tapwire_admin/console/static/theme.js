// Runs before the page is painted: the automatic theme is dark from evening to morning, when the bar is.
const EVENING = 19, MORNING = 7;
const root = document.documentElement;
const hour = new Date().getHours();
if (root.dataset.theme === "auto" && (hour >= EVENING || hour < MORNING)) root.dataset.theme = "dark";
