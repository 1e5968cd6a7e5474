"use strict";(()=>{var e=localStorage.getItem("parley.theme");(e==="dark"||e==="light")&&(document.documentElement.dataset.theme=e);})();
